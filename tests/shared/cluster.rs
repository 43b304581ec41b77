//! A cluster of three masters on one machine.

use std::process::Command;
use std::thread;
use std::time::Instant;

use paceline::{Cost, RateLimiter, SharedStore};

use super::server::Server;
use super::support::{SECOND, tokens, until};

fn cluster() -> Option<[Server; 3]> {
    let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    let nodes = [
        Server::with(&options)?,
        Server::with(&options)?,
        Server::with(&options)?,
    ];
    let addresses = nodes
        .each_ref()
        .map(|node| format!("127.0.0.1:{}", node.port()));
    let mut create = Command::new("redis-cli");
    create
        .args(["--cluster", "create"])
        .args(&addresses)
        .arg("--cluster-yes");
    let output = create.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    until("the cluster is whole", || {
        let ok = |node: &Server| node.say(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
        nodes.iter().all(ok)
    });
    Some(nodes)
}

#[test]
fn limiters_of_a_cluster_are_each_whole_on_one_node_and_spread_over_all() {
    let Some(nodes) = cluster() else { return };
    let addresses: Vec<_> = nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.port()))
        .collect();
    let url = format!("redis://{}", addresses.join(","));
    let models: Vec<String> = (0..12).map(|number| format!("model-{number}")).collect();
    // Two processes of one thread for each model, and a third that is told of one node alone.
    let stores = [0; 2].map(|_| SharedStore::new(&url).unwrap());
    let start = Instant::now();
    thread::scope(|scope| {
        for store in &stores {
            for model in &models {
                let limiter = RateLimiter::builder(tokens(100))
                    .share(store, model)
                    .build();
                scope.spawn(move || {
                    for _ in 0..10 {
                        limiter.acquire(Cost::tokens(10)).map(drop).unwrap();
                    }
                });
            }
        }
    });
    // 200 tokens of each at 100 a second, with nothing in the bucket at first.
    assert!(start.elapsed() >= SECOND * 18 / 10, "{:?}", start.elapsed());
    assert!(start.elapsed() < SECOND * 20, "{:?}", start.elapsed());
    for node in &nodes {
        let keys = node.say(&["KEYS", "*:state"]);
        assert!(keys.lines().count() > 1, "all are elsewhere: {keys}");
    }
    let one = format!("redis://{}?cluster=1", addresses[0]);
    let seen = SharedStore::new(&one).unwrap().limiters().unwrap();
    assert_eq!(seen.len(), models.len());
    assert!(seen.iter().all(|limiter| limiter.grants == 20), "{seen:?}");
}
