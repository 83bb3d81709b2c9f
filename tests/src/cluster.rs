use std::time::{Duration, Instant};

use crate::redis::RedisProcess;

/// How many masters a cluster has, the least that Redis calls a cluster.
const NODES: usize = 3;
/// How many hash slots there are (Redis cluster specification, "Key distribution model").
const SLOTS: usize = 16_384;
/// The longest that the nodes may take to agree.
const AGREE_LIMIT: Duration = Duration::from_secs(30);

/// A cluster of three masters without replicas. It ends with this value.
pub struct RedisCluster {
    nodes: Vec<RedisProcess>,
}

impl RedisCluster {
    /// Starts the nodes and waits until each of them serves.
    pub async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            let arguments = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"];
            nodes.push(RedisProcess::start_with(&arguments).await);
        }
        for (number, node) in nodes.iter().enumerate() {
            let slots = (SLOTS * number / NODES)..(SLOTS * (number + 1) / NODES);
            let slots: Vec<_> = slots.map(|slot| slot.to_string()).collect();
            let mut add = vec!["CLUSTER", "ADDSLOTS"];
            add.extend(slots.iter().map(String::as_str));
            node.command::<()>(&add).await;
            // Nodes of the same epoch would settle first whose is the higher. It is set before a node knows another.
            node.command::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).await;
        }
        for node in &nodes[1..] {
            node.command::<()>(&["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port().to_string()]).await;
        }
        let cluster = Self { nodes };
        cluster.agreed().await;
        cluster
    }

    /// Where its first node is.
    pub fn url(&self) -> String {
        self.nodes[0].url()
    }

    /// Its nodes.
    pub fn nodes(&self) -> &[RedisProcess] {
        &self.nodes
    }

    /// Its nodes, to be killed or restarted.
    pub fn nodes_mut(&mut self) -> &mut [RedisProcess] {
        &mut self.nodes
    }

    /// Waits until all nodes know each other and serve all slots.
    pub async fn agreed(&self) {
        let started = Instant::now();
        for node in &self.nodes {
            loop {
                let info: String = node.command(&["CLUSTER", "INFO"]).await;
                let known = format!("cluster_known_nodes:{NODES}\r\n");
                if info.contains("cluster_state:ok\r\n") && info.contains(&known) {
                    break;
                }
                assert!(started.elapsed() < AGREE_LIMIT, "the nodes do not agree: {info}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
