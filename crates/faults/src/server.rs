//! Connections, and which file a path means.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::answer::Answer;
use crate::hub::{Hub, Repository};
use crate::plan::{Asked, Fault, Sent};
use crate::request::Request;
use crate::send::{Outcome, send};
use crate::throttle::Throttle;

/// Decides how each request is treated, and hears what becomes of it. Called from many threads; an answer waits for it.
pub trait Director: Send + Sync + 'static {
    /// How this request is treated.
    fn decide(&self, asked: &Asked) -> Fault;
    /// An answer was sent, or as much of it as was meant to be.
    fn sent(&self, _sent: Sent) {}
    /// Somebody came while the server was down: the first line of the request.
    fn missed(&self, _line: &str) {}
}

impl<F: Fn(&Asked) -> Fault + Send + Sync + 'static> Director for F {
    fn decide(&self, asked: &Asked) -> Fault {
        self(asked)
    }
}

/// What is served.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// Path that everything lies below, with a slash at the end.
    pub base: String,
    /// Folders by the path prefix (below the base, with a slash at the end) that they are served at. The longest one wins.
    pub mounts: BTreeMap<String, PathBuf>,
    /// Repositories by owner and name (`owner/name`), served as the Hugging Face hub does. Their large files come from a
    /// second port, below `/store/`.
    pub repositories: BTreeMap<String, Repository>,
}

struct Shared {
    base: String,
    mounts: Mutex<BTreeMap<String, PathBuf>>,
    hub: Option<Hub>,
    throttle: Throttle,
    is_down: AtomicBool,
    last_id: AtomicU64,
    last_connection: AtomicU64,
    /// Connections that are open, to be closed when the server goes down.
    open: Mutex<HashMap<u64, TcpStream>>,
    director: Box<dyn Director>,
}

/// A server that runs until the process ends.
#[derive(Clone)]
pub struct Server {
    address: SocketAddr,
    store: Option<SocketAddr>,
    shared: Arc<Shared>,
}

/// Which of the server's ports was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Front,
    Store,
}

impl Server {
    /// Starts a server on a free port of this machine, and on a second one if there are repositories.
    ///
    /// # Errors
    /// If there is no free port, or a repository can't be read.
    pub fn start(site: Site, director: impl Director) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let store = if site.repositories.is_empty() {
            None
        } else {
            Some(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)
        };
        let store_address = store.as_ref().map(TcpListener::local_addr).transpose()?;
        let hub = store_address.map(|at| Hub::new(site.repositories, at));
        let shared = Arc::new(Shared {
            base: if site.base.is_empty() {
                "/".to_owned()
            } else {
                site.base
            },
            mounts: Mutex::new(site.mounts),
            hub: hub.transpose()?,
            throttle: Throttle::default(),
            is_down: AtomicBool::new(false),
            last_id: AtomicU64::new(0),
            last_connection: AtomicU64::new(0),
            open: Mutex::default(),
            director: Box::new(director),
        });
        let server = Self {
            address,
            store: store_address,
            shared,
        };
        server.listen(listener, Door::Front);
        if let Some(store) = store {
            server.listen(store, Door::Store);
        }
        Ok(server)
    }

    fn listen(&self, listener: TcpListener, door: Door) {
        let server = self.clone();
        std::thread::spawn(move || {
            // A connection that is gone before it is taken concerns nobody.
            for stream in listener.incoming().flatten() {
                server.take(stream, door);
            }
        });
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the large files of repositories are, if there are repositories.
    #[must_use]
    pub const fn store_address(&self) -> Option<SocketAddr> {
        self.store
    }

    /// Another version of a repository, as if its owner had pushed it. The versions before it stay, by their commits.
    ///
    /// # Errors
    /// If the repository can't be read, or the server was started without any.
    pub fn publish(&self, name: String, repository: Repository) -> io::Result<()> {
        let without = || io::Error::other("expected a server that was started with repositories");
        let hub = self.shared.hub.as_ref().ok_or_else(without)?;
        hub.publish(name, repository)
    }

    /// Serves another folder at a prefix from now on.
    pub fn mount(&self, prefix: String, folder: PathBuf) {
        lock(&self.shared.mounts).insert(prefix, folder);
    }

    /// Limits all connections together; `None` = not at all.
    pub fn throttle(&self, bytes_per_second: Option<u64>) {
        self.shared.throttle.set(bytes_per_second);
    }

    /// Cuts all connections and answers nobody any more, or answers again. The port stays.
    pub fn set_down(&self, is_down: bool) {
        self.shared.is_down.store(is_down, Ordering::SeqCst);
        if is_down {
            for stream in lock(&self.shared.open).values() {
                // It may be closed already.
                stream.shutdown(Shutdown::Both).ok();
            }
        }
    }

    fn take(&self, stream: TcpStream, door: Door) {
        let server = self.clone();
        let number = self.shared.last_connection.fetch_add(1, Ordering::SeqCst);
        std::thread::spawn(move || {
            if let Ok(copy) = stream.try_clone() {
                lock(&server.shared.open).insert(number, copy);
            }
            // Whatever ends a connection, the browser sees it and the test asserts it.
            server.talk(&stream, door).ok();
            lock(&server.shared.open).remove(&number);
        });
    }

    fn talk(&self, stream: &TcpStream, door: Door) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut from = BufReader::new(stream);
        if self.shared.is_down.load(Ordering::SeqCst) {
            let mut line = String::new();
            // Browsers also open connections that they may need later, and ask for nothing.
            if from.read_line(&mut line)? > 0 {
                self.shared.director.missed(line.trim_end());
            }
            return stream.shutdown(Shutdown::Both);
        }
        while let Some(request) = Request::read(&mut from)? {
            if !self.answer(stream, &request, door)? {
                break;
            }
        }
        Ok(())
    }

    /// Answers one request. `false` = the connection is done.
    fn answer(&self, stream: &TcpStream, request: &Request, door: Door) -> io::Result<bool> {
        let shared = &self.shared;
        let is_head = request.method == "HEAD";
        let wants_more = !request
            .headers
            .get("connection")
            .is_some_and(|word| word.eq_ignore_ascii_case("close"));
        let inside = request.parts().and_then(|(path, query)| {
            let below = path.strip_prefix(&shared.base)?;
            Some((format!("/{below}"), query))
        });
        let Some((path, query)) = inside else {
            let nowhere = Answer::words(404, "not found");
            let outcome = send(
                stream,
                nowhere,
                is_head,
                wants_more,
                &Fault::default(),
                &shared.throttle,
            );
            return Ok(outcome.stays);
        };
        let asked = Asked {
            id: shared.last_id.fetch_add(1, Ordering::SeqCst) + 1,
            method: request.method.clone(),
            path,
            query,
            headers: request.headers.clone(),
        };
        let fault = shared.director.decide(&asked);
        std::thread::sleep(Duration::from_millis(fault.delay_millis));
        if shared.is_down.load(Ordering::SeqCst) {
            return Ok(false);
        }
        let mut answer = self.find(&asked, request, &fault, door)?;
        if shared.hub.is_some() {
            Hub::allow(&mut answer, &asked, door == Door::Store);
        }
        let answer = answer.spoil(&fault)?;
        let Outcome {
            bytes,
            whole,
            stays,
        } = send(
            stream,
            answer,
            is_head,
            wants_more,
            &fault,
            &shared.throttle,
        );
        shared.director.sent(Sent {
            id: asked.id,
            bytes,
            whole,
        });
        Ok(stays)
    }

    fn find(
        &self,
        asked: &Asked,
        request: &Request,
        fault: &Fault,
        door: Door,
    ) -> io::Result<Answer> {
        if let Some(status) = fault.status {
            return Ok(Answer::words(
                status,
                fault.body.as_deref().unwrap_or_default(),
            ));
        }
        if asked.method != "GET" && asked.method != "HEAD" {
            let mut answer = Answer::words(405, "");
            answer
                .headers
                .insert("Allow".to_owned(), "GET, HEAD".to_owned());
            return Ok(answer);
        }
        if let Some(hub) = &self.shared.hub {
            if door == Door::Store {
                return hub.stored(asked, request, fault);
            }
            if let Some(answer) = hub.answer(asked, request, fault)? {
                return Ok(answer);
            }
        }
        let file = fault
            .file
            .clone()
            .or_else(|| self.file_of(&asked.path))
            .filter(|file| file.is_file());
        match file {
            Some(file) => Answer::file(&file, request, fault),
            None => Ok(Answer::words(404, "not found")),
        }
    }

    fn file_of(&self, path: &str) -> Option<PathBuf> {
        let mounts = lock(&self.shared.mounts);
        let matching = mounts
            .iter()
            .filter(|(prefix, _)| path.starts_with(*prefix));
        let (prefix, folder) = matching.max_by_key(|(prefix, _)| prefix.len())?;
        let mut name = path[prefix.len()..].to_owned();
        if path.ends_with('/') {
            name.push_str("index.html");
        }
        let inner = Path::new(&name);
        let is_inside = inner
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        is_inside.then(|| folder.join(inner))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
