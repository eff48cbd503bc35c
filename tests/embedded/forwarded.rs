//! Addresses of this machine that lead to ports of nodes.

use std::io::ErrorKind;
use std::net::SocketAddr;

use fuzz_dist::nemesis::{isolate_all, kill_of};
use fuzz_dist::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where the embedded store listens.
const PORT: u16 = 7000;

/// Asks the store a line through an address, and closes the own side: the answer comes all the same.
async fn asked(address: SocketAddr, line: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(line.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    match answer.is_empty() {
        true => Err(ErrorKind::UnexpectedEof.into()),
        false => Ok(answer),
    }
}

/// A client library reaches a node as the harness does: through partitions, not where nobody listens, and again once it
/// is started again.
#[fuzz_dist::test(db = "embedded", nodes = 2, op_limit = "2s")]
async fn a_port_of_a_node_is_reached_by_an_address(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let n1 = cluster.find("n1").expect("a node");
    let address = n1.forward(PORT).await?;
    assert!(address.ip().is_loopback());
    assert_eq!(n1.forward(PORT).await?, address, "the same port has the same address");
    cluster.client("n1").invoke(Add(1)).await?;
    assert_eq!(asked(address, "read\n").await?, "set 1\n");

    let cut = cluster.inject(isolate_all()).await?;
    assert_eq!(asked(address, "read\n").await?, "set 1\n");
    cut.heal().await?;

    // Nobody listens there.
    let nobody = n1.forward(PORT + 1).await?;
    let refused = asked(nobody, "read\n").await.expect_err("nobody answers");
    assert_eq!(refused.kind(), ErrorKind::ConnectionReset, "{refused}");

    // An open connection ends with the process behind it.
    let mut open = TcpStream::connect(address).await?;
    open.write_all(b"size\n").await?;
    assert_ne!(open.read(&mut [0; 64]).await?, 0);
    let killed = cluster.inject(kill_of(["n1"])).await?;
    assert!(matches!(open.read(&mut [0; 64]).await, Ok(0) | Err(_)));
    asked(address, "read\n").await.expect_err("the store is gone");
    killed.heal().await?;
    assert_eq!(asked(address, "read\n").await?, "set 1\n");
    cluster.check(fuzz_dist::checker::set_full()).await
}

/// What is sent in both directions at once arrives, however much it is.
#[fuzz_dist::test(db = "embedded", nodes = 1, op_limit = "20s")]
async fn both_directions_of_a_forwarded_port_flow_at_once(test: Test) -> Outcome {
    const QUESTIONS: usize = 200_000;
    let cluster = test.start().await?;
    cluster.client("n1").invoke(Add(7)).await?;
    let address = cluster.find("n1").expect("a node").forward(PORT).await?;
    let (mut read, mut write) = TcpStream::connect(address).await?.into_split();
    let asking = tokio::spawn(async move {
        write.write_all("read\n".repeat(QUESTIONS).as_bytes()).await?;
        write.shutdown().await
    });
    let mut answers = String::new();
    read.read_to_string(&mut answers).await?;
    asking.await??;
    assert_eq!(answers, "set 7\n".repeat(QUESTIONS));
    cluster.client("n1").invoke(Read).await?;
    cluster.check(fuzz_dist::checker::set_full()).await
}
