//! A peer that speaks the protocol's frames from a script, over pipes within the process.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::frame::{Decoder, Frame};
use crate::proto::{self, Coded};
use crate::{Client, DataType, Object};

/// What the peer does with the next request of a connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes one by one.
    Trickle(Vec<u8>),
    /// Sends these bytes, and closes.
    SendAndClose(Vec<u8>),
    /// Never answers.
    Hang,
}

#[derive(Default)]
struct State {
    scripts: VecDeque<Vec<Step>>,
    seen: Vec<(usize, Frame)>,
    connections: usize,
}

/// The peer: one script for each connection, and what it was asked.
#[derive(Clone)]
pub struct Peer(Arc<Mutex<State>>);

impl Peer {
    /// A peer that follows one script a connection, and refuses any further one.
    pub fn new(scripts: impl IntoIterator<Item = Vec<Step>>) -> Peer {
        let scripts = scripts.into_iter().collect();
        Peer(Arc::new(Mutex::new(State { scripts, ..State::default() })))
    }

    /// A client of this peer.
    pub fn client(&self) -> Client {
        let peer = self.clone();
        Client::new(move || {
            let peer = peer.clone();
            async move { peer.accept() }
        })
    }

    /// The requests so far, each with the number of its connection from 0.
    pub fn seen(&self) -> Vec<(usize, Frame)> {
        self.0.lock().unwrap().seen.clone()
    }

    /// The message codes of the requests so far.
    pub fn codes(&self) -> Vec<u8> {
        self.seen().iter().map(|(_, frame)| frame.code).collect()
    }

    /// The one request of code `M::CODE` that was seen at `index`.
    pub fn request<M: Coded>(&self, index: usize) -> M {
        let (_, frame) = &self.seen()[index];
        assert_eq!(frame.code, M::CODE);
        M::decode(frame.body.as_slice()).unwrap()
    }

    fn accept(&self) -> io::Result<DuplexStream> {
        let mut state = self.0.lock().unwrap();
        let script = state.scripts.pop_front().ok_or(io::ErrorKind::ConnectionRefused)?;
        let number = state.connections;
        state.connections += 1;
        let (ours, theirs) = duplex(1 << 16);
        tokio::spawn(self.clone().serve(number, theirs, script));
        Ok(ours)
    }

    async fn serve(self, number: usize, mut stream: DuplexStream, script: Vec<Step>) {
        let mut decoder = Decoder::default();
        for step in script {
            let Some(frame) = next_request(&mut stream, &mut decoder).await else { return };
            self.0.lock().unwrap().seen.push((number, frame));
            match step {
                Step::Send(bytes) => stream.write_all(&bytes).await.unwrap(),
                Step::Trickle(bytes) => {
                    for byte in bytes {
                        stream.write_all(&[byte]).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                }
                Step::SendAndClose(bytes) => {
                    stream.write_all(&bytes).await.unwrap();
                    return;
                }
                Step::Hang => std::future::pending().await,
            }
        }
        // The script's end is no end of the connection.
        std::future::pending().await
    }
}

async fn next_request(stream: &mut DuplexStream, decoder: &mut Decoder) -> Option<Frame> {
    let mut piece = [0; 4096];
    loop {
        if let Some(frame) = decoder.next_frame().unwrap() {
            return Some(frame);
        }
        match stream.read(&mut piece).await {
            Ok(count) if count > 0 => decoder.push(&piece[..count]),
            _ => return None,
        }
    }
}

/// The bytes of a frame with `message` in it.
pub fn framed<M: Coded>(message: &M) -> Vec<u8> {
    Frame { code: M::CODE, body: message.encode_to_vec() }.encode().unwrap()
}

/// The step that answers with `message`.
pub fn answer<M: Coded>(message: M) -> Step {
    Step::Send(framed(&message))
}

/// A successful commit at `time`.
pub fn commit_resp(time: &str) -> proto::CommitResp {
    proto::CommitResp { success: true, commit_time: Some(time.into()), error_code: None }
}

/// A commit, or an update, that was refused.
pub fn refused_commit(code: u32) -> proto::CommitResp {
    proto::CommitResp { success: false, commit_time: None, error_code: Some(code) }
}

/// A successful static read of one counter.
pub fn counter_resp(value: i32, time: &str) -> proto::StaticReadObjectsResp {
    proto::StaticReadObjectsResp { objects: counters_resp(&[value]), commit: commit_resp(time) }
}

/// Values of counters.
pub fn counters_resp(values: &[i32]) -> proto::ReadObjectsResp {
    let objects = values.iter().map(|value| proto::ReadObjectResp {
        counter: Some(proto::CounterValue { value: *value }),
        ..Default::default()
    });
    proto::ReadObjectsResp { success: true, objects: objects.collect(), error_code: None }
}

/// An answer that says only whether something was done.
pub fn operation_resp(success: bool) -> proto::OperationResp {
    proto::OperationResp { success, error_code: (!success).then_some(0) }
}

/// The start of a transaction with a descriptor.
pub fn started(descriptor: &str) -> proto::StartTransactionResp {
    proto::StartTransactionResp {
        success: true,
        descriptor: Some(descriptor.into()),
        error_code: None,
    }
}

/// An error message without a number of its own.
pub fn error_resp(message: &str) -> proto::ErrorResp {
    proto::ErrorResp { message: message.into(), code: 0 }
}

/// A counter to read and write.
pub fn counter() -> Object {
    Object::new(DataType::Counter, "bucket", "key")
}
