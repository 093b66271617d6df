//! A page that wants one answer and does not give up: whenever a device is lost, it has the model loaded again and asks for
//! the rest. What the real page does about losses is decided in `protocol::supervisor`.

use std::cell::RefCell;
use std::rc::Rc;

use protocol::{Event, Fault, FaultCode, FinishReason, Generate, Outcome, Request, RequestId};

use super::{LOAD, Script, World, load, play};

/// How often the page tries again.
const TRIES: u32 = 12;

/// What the page has of its answer.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) ids: Vec<u32>,
    pub(crate) text: String,
    /// Lost devices that it was told of.
    pub(crate) losses: u32,
    /// Requests that it made.
    pub(crate) requests: u32,
    pub(crate) end: Option<Result<FinishReason, Fault>>,
    current: u32,
    is_loading: bool,
    wants_to_stop: bool,
}

impl Kept {
    fn hear(&mut self, world: &World, event: &Event, job: &Generate) {
        match event {
            Event::Status(protocol::Status::DeviceLost { .. }) => self.losses += 1,
            Event::Tokens { id, text, ids, .. } if id.0 == self.current => {
                self.ids.extend(ids);
                self.text.push_str(text);
            }
            Event::Finished { id, outcome } if id.0 == self.current => match **outcome {
                Outcome::Loaded(_) => self.ask(world, job),
                Outcome::Answered { reason, .. } => self.end = Some(Ok(reason)),
                Outcome::Cancelled => self.end = Some(Ok(FinishReason::Cancelled)),
                ref other => panic!("expected an answer, got {other:?}"),
            },
            Event::Failed {
                id: Some(id),
                fault,
            } if id.0 == self.current => {
                let is_lost = matches!(fault.code, FaultCode::DeviceLost | FaultCode::NoAdapter);
                if !is_lost || self.requests >= 2 * TRIES {
                    self.end = Some(Err(fault.clone()));
                } else if self.wants_to_stop {
                    self.end = Some(Ok(FinishReason::Cancelled));
                } else {
                    self.requests += 1;
                    self.current += 1;
                    self.is_loading = true;
                    world.push(load(RequestId(self.current)));
                }
            }
            _ => {}
        }
    }

    fn ask(&mut self, world: &World, job: &Generate) {
        self.requests += 1;
        self.current += 1;
        self.is_loading = false;
        let resume = self.ids.clone();
        world.push(Request::Generate {
            id: RequestId(self.current),
            job: Generate {
                resume,
                ..job.clone()
            },
        });
    }
}

/// Has one answer made, whatever the script does to the devices. `stop_after`: milliseconds after which the person stops it.
pub(crate) fn answer(
    script: Script,
    question: Request,
    stop_after: Option<u32>,
) -> (Rc<World>, Kept) {
    let Request::Generate { job, .. } = question else {
        panic!("expected a question, got {question:?}")
    };
    let kept = Rc::new(RefCell::new(Kept {
        current: LOAD.0,
        is_loading: true,
        ..Kept::default()
    }));
    let page = Rc::clone(&kept);
    let world = play(script, &[], move |world, event| {
        let mut kept = page.borrow_mut();
        if let Some(millis) = stop_after
            && event.id() == Some(LOAD)
            && event.is_terminal()
        {
            // Numbers of requests that may run then.
            for id in 1..40 {
                world.push_later(millis, Request::Cancel { id: RequestId(id) });
            }
            kept.wants_to_stop = true;
        }
        kept.hear(world, event, &job);
    });
    // The world goes on listening.
    let kept = kept.take();
    (world, kept)
}
