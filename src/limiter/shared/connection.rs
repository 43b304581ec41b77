//! The way to the store: connects, and has the script run there.
//!
//! One connection for each store and process. Of several limiters one trip is one pipeline; in a
//! cluster it is one command after the other, each to the node that keeps the limiter.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterConnection};
use redis::{Cmd, RedisError, Value};

use super::address::Address;
use super::inspect::names_key;
use super::sync::{EXPIRY, Identity, StoreReply, SyncRequest, Word};

/// How long a connection, and each answer, may take to come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) command: Duration,
}

/// Where a limiter is kept: all of it in one slot of a cluster, by the tag in braces.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Keys {
    /// What all of its keys begin with.
    base: String,
    limiter: String,
    /// The names of all limiters.
    names: String,
}

/// What a script is called by: the hash of its text.
static SCRIPT: LazyLock<redis::Script> =
    LazyLock::new(|| redis::Script::new(include_str!("script.lua")));

pub(super) struct StoreConnection {
    address: Address,
    timeouts: Timeouts,
    connection: Option<Connection>,
}

enum Connection {
    One(Box<redis::Connection>),
    Cluster(Box<ClusterConnection>),
}

/// Why the store cannot be used, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoreError(pub(super) String);

/// The most of what a store says that is kept, in characters: it goes to the log.
const MOST_SAID: usize = 300;

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self("it does not answer in time".to_owned());
        }
        Self(error.to_string().chars().take(MOST_SAID).collect())
    }
}

/// Why a store that was tried cannot be used.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) error: StoreError,
    /// Whether it answers, and refuses what a limiter needs: waiting does not help.
    pub(super) is_refusal: bool,
}

impl From<RedisError> for Unusable {
    fn from(error: RedisError) -> Self {
        const PASSING: [&str; 5] = ["LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY"];
        let is_passing = |code: &str| PASSING.contains(&code);
        let is_refusal = error.kind() == redis::ErrorKind::AuthenticationFailed
            || error.code().is_some_and(|code| !is_passing(code))
            || is_of_tls(&error);
        Self {
            error: error.into(),
            is_refusal,
        }
    }
}

/// Whether TLS refused the other side: its certificate, or what it speaks.
fn is_of_tls(error: &RedisError) -> bool {
    // `redis` shares its cause, and an error of input or output hands out its cause's cause.
    type Cause = Arc<dyn std::error::Error + Send + Sync>;
    let cause = std::error::Error::source(error);
    let io = cause.and_then(|it| match it.downcast_ref::<Cause>() {
        Some(shared) => shared.downcast_ref::<io::Error>(),
        None => it.downcast_ref::<io::Error>(),
    });
    let inner = io.and_then(io::Error::get_ref);
    inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
}

impl Keys {
    pub(super) fn new(prefix: &str, limiter: &str) -> Self {
        let tag = limiter
            .replace('%', "%25")
            .replace('{', "%7B")
            .replace('}', "%7D");
        // A tag of nothing is none.
        let tag = if tag.is_empty() { "%" } else { &tag };
        Self {
            base: format!("{prefix}{{{tag}}}"),
            limiter: limiter.to_owned(),
            names: names_key(prefix),
        }
    }

    /// Those of the script, in its order.
    pub(super) fn all(&self) -> [String; 4] {
        let key = |part: &str| format!("{}:{part}", self.base);
        [key("state"), key("line"), key("alive"), key("people")]
    }

    /// Puts the limiter on the list of all, for inspection.
    fn enter(&self) -> [Cmd; 2] {
        let mut add = redis::cmd("ZADD");
        add.arg(&self.names).arg(0).arg(&self.limiter);
        let mut expire = redis::cmd("EXPIRE");
        expire.arg(&self.names).arg(EXPIRY.as_secs());
        [add, expire]
    }
}

impl StoreConnection {
    pub(super) fn new(address: Address, timeouts: Timeouts) -> Self {
        Self {
            address,
            timeouts,
            connection: None,
        }
    }

    /// Forgets the connection: an answer that is late must not be taken for that of a later sync.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    /// Makes sure that there is a connection, and that the store answers.
    pub(super) fn open(&mut self) -> Result<(), StoreError> {
        self.connected().map(|_| ())
    }

    /// Connects anew and writes something under the prefix that is gone within a second.
    pub(super) fn check(&mut self, prefix: &str) -> Result<(), Unusable> {
        let mut write = redis::cmd("EVAL");
        write.arg(
            "redis.call('HSET', KEYS[1], 'checked', '1') return redis.call('PEXPIRE', KEYS[1], 1000)",
        );
        write.arg(1).arg(format!("{prefix}{{check}}:state"));
        let wrote = match self.connect()? {
            Connection::One(mut connection) => write.query::<Value>(&mut *connection),
            Connection::Cluster(mut connection) => write.query::<Value>(&mut *connection),
        };
        Ok(wrote.map(drop)?)
    }

    fn connected(&mut self) -> Result<&mut Connection, StoreError> {
        if self.connection.is_none() {
            self.connection = Some(self.connect()?);
        }
        let none = || StoreError("there is no connection".to_owned());
        self.connection.as_mut().ok_or_else(none)
    }

    fn connect(&self) -> Result<Connection, RedisError> {
        let Timeouts { connect, command } = self.timeouts;
        if self.address.is_cluster {
            let client = ClusterClient::builder(self.address.nodes.clone())
                .connection_timeout(connect)
                .response_timeout(command)
                .retries(2)
                .build()?;
            let connection = client.get_connection()?;
            return Ok(Connection::Cluster(Box::new(connection)));
        }
        let node = self.address.nodes.first();
        let none = || RedisError::from((redis::ErrorKind::InvalidClientConfig, "no host is named"));
        let node = node.ok_or_else(none)?;
        let client = redis::Client::open(node.clone())?;
        let mut connection = client.get_connection_with_timeout(connect)?;
        connection.set_read_timeout(Some(command))?;
        connection.set_write_timeout(Some(command))?;
        // What has no password to ask for, or is still loading, says so here and not in a sync.
        redis::cmd("PING").query::<Value>(&mut connection)?;
        Ok(Connection::One(Box::new(connection)))
    }

    /// Makes syncs, for each the keys of its limiter, and returns their answers in the same order.
    pub(super) fn go(
        &mut self,
        syncs: &[(&Keys, &SyncRequest)],
        identity: &Identity,
    ) -> Result<Vec<StoreReply>, StoreError> {
        let commands: Vec<Cmd> = syncs
            .iter()
            .map(|(keys, sync)| command("EVALSHA", SCRIPT.get_hash(), keys, sync, identity))
            .collect();
        let mut values = self.ask(&commands)?;
        let newcomers = syncs.iter().filter(|(_, sync)| sync.joins.is_some());
        let names: Vec<Cmd> = newcomers.flat_map(|(keys, _)| keys.enter()).collect();
        if !names.is_empty() {
            self.ask(&names)?;
        }
        for (value, (keys, sync)) in values.iter_mut().zip(syncs) {
            if let Value::ServerError(error) = &*value
                && error.code() == "NOSCRIPT"
            {
                // A store that has forgotten the script learns it by running it.
                let text = include_str!("script.lua");
                let again = [command("EVAL", text, keys, sync, identity)];
                *value = self.ask(&again)?.pop().unwrap_or_default();
            }
        }
        values.into_iter().map(reply).collect()
    }

    /// Has commands run, and returns what each brought, be it an error of that command alone.
    pub(super) fn ask(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, StoreError> {
        match self.connected()? {
            Connection::One(connection) => {
                let mut pipeline = redis::pipe();
                for command in commands {
                    pipeline.add_command(command.clone());
                }
                Ok(pipeline.ignore_errors().query(&mut **connection)?)
            }
            Connection::Cluster(connection) => {
                let run = |command: &Cmd| match command.query::<Value>(&mut **connection) {
                    Ok(value) => Ok(value),
                    Err(error) => by_itself(error),
                };
                commands.iter().map(run).collect()
            }
        }
    }
}

/// The error of one command, where that is all that is wrong.
fn by_itself(error: RedisError) -> Result<Value, StoreError> {
    match error.code() {
        Some("NOSCRIPT") => {
            let errors = error.clone().into_server_errors();
            let first = errors.and_then(|errors| errors.first().map(|(_, error)| error.clone()));
            first.map(Value::ServerError).ok_or_else(|| error.into())
        }
        _ => Err(error.into()),
    }
}

fn command(name: &str, script: &str, keys: &Keys, sync: &SyncRequest, identity: &Identity) -> Cmd {
    let mut command = redis::cmd(name);
    let keys = keys.all();
    command.arg(script).arg(keys.len());
    for key in &keys {
        command.arg(key);
    }
    for argument in sync.arguments(identity) {
        command.arg(argument);
    }
    command
}

pub(super) fn reply(value: Value) -> Result<StoreReply, StoreError> {
    let nonsense = || StoreError("the script's answer makes no sense".to_owned());
    let values = match value {
        Value::Array(values) => values,
        Value::ServerError(error) => return Err(RedisError::from(error).into()),
        _ => return Err(nonsense()),
    };
    let words = values.into_iter().map(word).collect::<Option<Vec<Word>>>();
    words.and_then(StoreReply::read).ok_or_else(nonsense)
}

pub(super) fn word(value: Value) -> Option<Word> {
    match value {
        Value::Int(number) => Some(Word::Int(number)),
        Value::BulkString(bytes) => String::from_utf8(bytes).ok().map(Word::Text),
        Value::SimpleString(text) => Some(Word::Text(text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_limiter_is_in_one_slot_whatever_its_name() {
        let table = [
            ("gpt-4o", "p:{gpt-4o}:state"),
            ("a{b}c%", "p:{a%7Bb%7Dc%25}:state"),
            ("", "p:{%}:state"),
        ];
        for (name, state) in table {
            let keys = Keys::new("p:", name).all();
            assert_eq!(keys[0], state);
            let tag = |key: &String| key.split(['{', '}']).nth(1).map(str::to_owned);
            assert!(keys.iter().all(|key| tag(key) == tag(&keys[0])), "{keys:?}");
        }
        assert_ne!(
            Keys::new("p:", "%7B"),
            Keys::new("p:", "{"),
            "names stay apart"
        );
    }
}
