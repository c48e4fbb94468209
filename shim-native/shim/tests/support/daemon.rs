//! The daemon's end of event publishing: takes `Forward` calls and remembers them.

use super::client::{Request, Response, read_frame, write_frame};
use super::proto::containerd::events::{TaskExit, TaskOom};
use super::proto::containerd::services::events::ttrpc::v1::ForwardRequest;
use super::proto::containerd::types::Envelope;
use prost::Message;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

pub struct Daemon {
    events: Arc<Mutex<Vec<Envelope>>>,
}

impl Daemon {
    pub fn start(path: &Path) -> Daemon {
        let events = Arc::new(Mutex::new(Vec::new()));
        let listener = UnixListener::bind(path).unwrap();
        let log = events.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = log.clone();
                std::thread::spawn(move || take(stream, &log));
            }
        });
        Daemon { events }
    }

    /// Waits for `count` events, and gives some more a chance to come.
    pub fn events(&self, count: usize) -> Vec<Envelope> {
        super::wait_until("enough events came", || {
            self.events.lock().unwrap().len() >= count
        });
        std::thread::sleep(std::time::Duration::from_millis(30));
        self.events.lock().unwrap().clone()
    }

    pub fn topics(&self, count: usize) -> Vec<String> {
        self.events(count)
            .into_iter()
            .map(|event| event.topic.trim_start_matches("/tasks/").to_owned())
            .collect()
    }

    /// Ids of the exits so far, in order.
    pub fn exits(&self, count: usize) -> Vec<TaskExit> {
        let exits = || -> Vec<TaskExit> {
            let events = self.events.lock().unwrap();
            let exits = events.iter().filter(|event| event.topic == "/tasks/exit");
            exits
                .map(|event| TaskExit::decode(event.event.as_ref().unwrap().value.as_slice()).unwrap())
                .collect()
        };
        super::wait_until("enough exits came", || exits().len() >= count);
        exits()
    }

    pub fn saw_oom(&self) -> bool {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .filter(|e| e.topic == "/tasks/oom")
            .any(|e| TaskOom::decode(e.event.as_ref().unwrap().value.as_slice()).is_ok())
    }
}

fn take(mut stream: UnixStream, log: &Mutex<Vec<Envelope>>) {
    while let Some((id, _, payload)) = read_frame(&mut stream) {
        let request = Request::decode(payload.as_slice()).unwrap();
        assert_eq!(request.service, "containerd.services.events.ttrpc.v1.Events");
        assert_eq!(request.method, "Forward");
        let forward = ForwardRequest::decode(request.payload.as_slice()).unwrap();
        log.lock().unwrap().push(forward.envelope.unwrap());
        write_frame(&mut stream, id, 2, &Response::default().encode_to_vec());
    }
}
