//! Four-letter words.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::raw::Raw;
use crate::server::{SESSION, Server, soon};

async fn ask(server: &Server, word: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(word.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn words_are_answered() {
    let server = Server::start().await;
    let mut client = Raw::open(&server, 40_000).await;
    client.create("/a", 1).await;
    assert_eq!(ask(&server, "ruok").await, "imok");
    assert_eq!(ask(&server, "ruok\n").await, "imok");
    assert_eq!(ask(&server, "isro").await, "rw");
    // Those who asked before are counted until the server has seen their end.
    let stat = soon("a count without the earlier ones", async {
        loop {
            let stat = ask(&server, "stat").await;
            if stat.lines().any(|line| line == "Connections: 2") {
                return stat;
            }
        }
    })
    .await;
    assert!(stat.starts_with("Zookeeper version: 3."), "{stat}");
    for line in ["Mode: standalone", "Node count: 5", "Zxid: 0x2"] {
        assert!(stat.lines().any(|own| own == line), "`{line}` in:\n{stat}");
    }
    assert!(ask(&server, "srvr").await.contains("Mode: standalone"));
    let mntr = ask(&server, "mntr").await;
    for line in ["zk_znode_count\t5", "zk_ephemerals_count\t1", "zk_server_state\tstandalone", "zk_watch_count\t0"] {
        assert!(mntr.lines().any(|own| own == line), "`{line}` in:\n{mntr}");
    }
    let conf = ask(&server, "conf").await;
    let port = format!("clientPort={}", server.address.port());
    let shortest = format!("minSessionTimeout={}", SESSION.as_millis());
    for line in [port.as_str(), &shortest, "maxSessionTimeout=40000"] {
        assert!(conf.lines().any(|own| own == line), "`{line}` in:\n{conf}");
    }
}

#[tokio::test]
async fn what_is_no_word_ends_its_connection() {
    let server = Server::start().await;
    assert_eq!(ask(&server, "POST / HTTP/1.1\r\nHost: evil\r\n\r\nruok").await, "");
    assert_eq!(ask(&server, "ruin").await, "");
    assert_eq!(ask(&server, "ruok").await, "imok");
}
