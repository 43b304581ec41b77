//! How models are counted, from a file.

use std::path::Path;
use std::sync::Arc;

use paceline::Result;
use paceline::tokens::ModelTable;

/// The built-in table, with what the file of a flag says laid over it.
pub(crate) fn table(file: Option<&Path>) -> Result<Arc<ModelTable>> {
    match file {
        Some(file) => Ok(Arc::new(ModelTable::from_file(file)?)),
        None => Ok(Arc::clone(ModelTable::global())),
    }
}
