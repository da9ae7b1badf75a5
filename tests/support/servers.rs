//! Private PostgreSQL, MariaDB and RabbitMQ for tests: own folders, own ports, started at first use, shared by the
//! whole process, ended with it.
//!
//! A guard process (`guard.sh`) is the servers' parent. It ends them and removes their folder when its input
//! closes, which the kernel does for us however this process ends: at return, by panic, by `kill -9`.
//! [`Servers::shut_down`] does the same and waits for it, so that nothing is left when a test run returns.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

const INSTALL: &str =
    "is not installed; run tests/run, which installs postgresql, mariadb-server and rabbitmq-server";
/// Only what fails uses it up; the machine may be busy with builds.
const START: Duration = Duration::from_secs(300);

/// The servers of this process.
pub struct Servers {
    folder: PathBuf,
    guard: Mutex<Option<Guard>>,
    postgres: OnceLock<u16>,
    frail_postgres: OnceLock<u16>,
    mariadb: OnceLock<u16>,
    rabbit: OnceLock<Rabbit>,
    frail_rabbit: OnceLock<Rabbit>,
    cluster: OnceLock<[Rabbit; 3]>,
    starting: Mutex<()>,
}

struct Guard {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

/// How a server is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In good order.
    Term,
    /// PostgreSQL's "immediate": clients are cut off and the next start recovers from the log.
    Quit,
    /// Without a word.
    Kill,
}

impl End {
    fn signal(self) -> &'static str {
        match self {
            End::Term => "TERM",
            End::Quit => "QUIT",
            End::Kill => "KILL",
        }
    }
}

/// The node that cases share, and the one that they may harm.
const RABBIT: &str = "rabbit";
const FRAIL_RABBIT: &str = "frail_rabbit";
const CLUSTER: [&str; 3] = ["cluster_1", "cluster_2", "cluster_3"];
const FRAIL_POSTGRES: &str = "frail_postgres";

struct Rabbit {
    name: &'static str,
    port: u16,
    env: Vec<(String, String)>,
}

static SERVERS: OnceLock<Servers> = OnceLock::new();

impl Servers {
    /// The servers; none runs before it is asked for.
    pub fn get() -> &'static Servers {
        SERVERS.get_or_init(|| {
            let folder = scratch().join(format!("tongbao-tests-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            open_to_all(&folder);
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/guard.sh");
            let mut child = Command::new("sh")
                .arg(script)
                .arg(&folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .process_group(0)
                .spawn()
                .unwrap();
            let orders = child.stdin.take().unwrap();
            let replies = BufReader::new(child.stdout.take().unwrap());
            Servers {
                folder,
                guard: Mutex::new(Some(Guard { child, orders, replies })),
                postgres: OnceLock::new(),
                frail_postgres: OnceLock::new(),
                mariadb: OnceLock::new(),
                rabbit: OnceLock::new(),
                frail_rabbit: OnceLock::new(),
                cluster: OnceLock::new(),
                starting: Mutex::new(()),
            }
        })
    }

    /// A folder that is removed with the servers.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends the servers of this process, if any were started, and waits until they are gone.
    pub fn shut_down() {
        let Some(servers) = SERVERS.get() else { return };
        let guard = servers.guard.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Guard { mut child, orders, replies }) = guard {
            drop(orders);
            drop(replies);
            child.wait().unwrap();
        }
    }

    /// URL of a database on the private PostgreSQL; made if it is not there.
    pub fn postgres_url(&self, database: &str) -> String {
        let port = *self.started(&self.postgres, || self.start_postgres("postgres"));
        self.postgres_database(port, database)
    }

    /// The same on a PostgreSQL that a case may stop; whoever does has to keep others off it.
    pub fn frail_postgres_url(&self, database: &str) -> String {
        let port = *self.started(&self.frail_postgres, || self.start_postgres(FRAIL_POSTGRES));
        self.postgres_database(port, database)
    }

    /// Stops the frail PostgreSQL.
    pub fn stop_frail_postgres(&self, end: End) {
        self.order(&format!("stop {FRAIL_POSTGRES} {}", end.signal()));
    }

    /// Starts it again.
    pub fn resume_frail_postgres(&self) {
        let port = *self.frail_postgres.get().unwrap();
        self.order(&format!("start {FRAIL_POSTGRES}"));
        self.await_postgres(FRAIL_POSTGRES, port);
    }

    fn postgres_database(&self, port: u16, database: &str) -> String {
        let mut create = Command::new(postgres_binary("createdb"));
        create.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", database]);
        let made = run(&mut create);
        let text = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success() || text.contains("already exists"), "createdb: {text}");
        format!("postgres://postgres@127.0.0.1:{port}/{database}")
    }

    /// URL of a database on the private MariaDB; made if it is not there.
    pub fn mariadb_url(&self, database: &str) -> String {
        let port = *self.started(&self.mariadb, || self.start_mariadb());
        let made = run(mariadb_client(port).arg(format!("CREATE DATABASE IF NOT EXISTS `{database}`")));
        assert!(made.status.success(), "mariadb: {}", String::from_utf8_lossy(&made.stderr));
        format!("mysql://root@127.0.0.1:{port}/{database}")
    }

    /// URL of the private RabbitMQ.
    pub fn rabbit_url(&self) -> String {
        let rabbit = self.started(&self.rabbit, || self.start_rabbit(RABBIT));
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", rabbit.port)
    }

    /// Port of a RabbitMQ that a case may stop, starve or empty; whoever does has to keep others off it.
    pub fn frail_rabbit_port(&self) -> u16 {
        self.started(&self.frail_rabbit, || self.start_rabbit(FRAIL_RABBIT)).port
    }

    /// Stops the frail RabbitMQ.
    pub fn stop_frail_rabbit(&self, end: End) {
        self.order(&format!("stop {FRAIL_RABBIT} {}", end.signal()));
    }

    /// Starts it again with what it had stored.
    pub fn resume_frail_rabbit(&self) {
        self.order(&format!("start {FRAIL_RABBIT}"));
        self.await_rabbit(self.frail_rabbit.get().unwrap());
    }

    /// Runs `rabbitmqctl` at the frail RabbitMQ; answers what it printed.
    pub fn frail_rabbitmqctl(&self, arguments: &[&str]) -> String {
        let rabbit = self.frail_rabbit.get().unwrap();
        let output = run(rabbitmqctl(rabbit).arg("--quiet").args(arguments));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rabbitmqctl {arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Ports of three RabbitMQ nodes that are one cluster. For one case, which may harm them.
    pub fn cluster_ports(&self) -> [u16; 3] {
        self.started(&self.cluster, || self.start_cluster()).each_ref().map(|node| node.port)
    }

    /// Kills a node of the cluster without a word.
    pub fn kill_cluster_node(&self, node: usize) {
        self.order(&format!("stop {} {}", CLUSTER[node], End::Kill.signal()));
    }

    /// Starts it again with what it had stored, and waits until the others have it back.
    pub fn resume_cluster_node(&self, node: usize) {
        self.order(&format!("start {}", CLUSTER[node]));
        let rabbit = &self.cluster.get().unwrap()[node];
        self.await_rabbit(rabbit);
        let whole = run(rabbitmqctl(rabbit).args(["await_online_nodes", "3", "--timeout", "60"]));
        assert!(whole.status.success(), "await_online_nodes: {}", String::from_utf8_lossy(&whole.stderr));
    }

    /// Whether every quorum queue would keep its majority without this node.
    pub fn cluster_can_spare(&self, node: usize) -> bool {
        let mut ask = rabbitmq(&self.cluster.get().unwrap()[node], "rabbitmq-queues");
        run(ask.arg("check_if_node_is_quorum_critical")).status.success()
    }

    /// How many members every queue has.
    pub fn cluster_queue_members(&self, node: usize) -> Vec<(String, usize)> {
        let mut list = rabbitmqctl(&self.cluster.get().unwrap()[node]);
        let listed = run(list.args(["--quiet", "list_queues", "--no-table-headers", "name", "members"]));
        assert!(listed.status.success(), "list_queues: {}", String::from_utf8_lossy(&listed.stderr));
        let text = String::from_utf8(listed.stdout).unwrap();
        let queue = |line: &str| {
            let (name, members) = line.split_once('\t')?;
            Some((name.to_owned(), members.matches('@').count()))
        };
        text.lines().filter_map(queue).collect()
    }

    /// Stops the private RabbitMQ and starts it again with what it had stored.
    pub fn restart_rabbit(&self) {
        self.stop_rabbit();
        self.resume_rabbit();
    }

    /// Stops the private RabbitMQ.
    pub fn stop_rabbit(&self) {
        self.started(&self.rabbit, || self.start_rabbit(RABBIT));
        self.order(&format!("stop {RABBIT} {}", End::Term.signal()));
    }

    /// Starts it again.
    pub fn resume_rabbit(&self) {
        let rabbit = self.started(&self.rabbit, || self.start_rabbit(RABBIT));
        self.order(&format!("start {RABBIT}"));
        self.await_rabbit(rabbit);
    }

    /// Starts a server once. Not the lock of [`OnceLock::get_or_init`] itself: a panic in it is reported per test.
    fn started<'a, T>(&self, place: &'a OnceLock<T>, start: impl FnOnce() -> T) -> &'a T {
        if let Some(ready) = place.get() {
            return ready;
        }
        let _one = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        place.get_or_init(start)
    }

    fn order(&self, order: &str) {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = guard.as_mut().expect("the servers are shut down");
        writeln!(guard.orders, "{order}").unwrap();
        let mut reply = String::new();
        guard.replies.read_line(&mut reply).unwrap();
        assert_eq!(reply.trim(), "done", "the guard of the servers is gone");
    }

    /// Writes the start script of a server and has it run, as a user that the server accepts.
    fn start(&self, name: &str, user: &str, env: &[(String, String)], command: &str) {
        let mut script = String::from("#!/bin/sh\nset -e\n");
        for (key, value) in env {
            script.push_str(&format!("export {key}='{value}'\n"));
        }
        let as_user = if is_root() {
            format!("setpriv --reuid={user} --regid={user} --clear-groups ")
        } else {
            String::new()
        };
        script.push_str(&format!("cd '{}'\nexec {as_user}{command}\n", self.folder.display()));
        fs::write(self.folder.join(format!("start-{name}.sh")), script).unwrap();
        self.order(&format!("start {name}"));
    }

    fn own_folder(&self, name: &str, user: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        if is_root() {
            let done = run(Command::new("chown").arg(format!("{user}:")).arg(&folder));
            assert!(done.status.success(), "user {user} {INSTALL}");
        }
        folder
    }

    fn await_port(&self, name: &str, port: u16, ready: impl Fn() -> bool) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() || !ready() {
            if begun.elapsed() > START {
                let said = fs::read_to_string(self.folder.join(format!("{name}.out"))).unwrap_or_default();
                panic!("{name} did not start:\n{said}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn start_postgres(&self, name: &str) -> u16 {
        let data = self.own_folder(name, "postgres").join("data");
        let made = run(as_user("postgres", postgres_binary("initdb"))
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(&data));
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = lasting_port();
        let command = format!(
            "{} -D '{}' -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=300 \
             -c dynamic_shared_memory_type=mmap",
            postgres_binary("postgres").display(),
            data.display()
        );
        self.start(name, "postgres", &[], &command);
        self.await_postgres(name, port);
        port
    }

    fn await_postgres(&self, name: &str, port: u16) {
        let port_text = port.to_string();
        self.await_port(name, port, || {
            let mut ask = Command::new(postgres_binary("pg_isready"));
            run(ask.args(["-h", "127.0.0.1", "-p", &port_text])).status.success()
        });
    }

    fn start_mariadb(&self) -> u16 {
        let folder = self.own_folder("mariadb", "mysql");
        let data = folder.join("data");
        let made = run(as_user("mysql", binary("mariadb-install-db", &["/usr/bin", "/usr/local/bin"]))
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", folder.display())));
        assert!(made.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&made.stderr));
        let port = lasting_port();
        let command = format!(
            "{} --no-defaults --datadir='{}' --tmpdir='{}' --socket='{}' --pid-file='{}' --bind-address=127.0.0.1 --port={port} \
             --skip-name-resolve --max-connections=400",
            binary("mariadbd", &["/usr/sbin", "/usr/local/sbin", "/usr/libexec"]).display(),
            data.display(),
            folder.display(),
            folder.join("socket").display(),
            folder.join("pid").display(),
        );
        self.start("mariadb", "mysql", &[], &command);
        self.await_port("mariadb", port, || run(mariadb_client(port).arg("SELECT 1")).status.success());
        port
    }

    fn start_rabbit(&self, name: &'static str) -> Rabbit {
        let folder = self.own_folder(name, "rabbitmq");
        let (port, epmd) = (lasting_port(), lasting_port());
        let rabbit = self.rabbit_node(name, port, epmd, &folder, "");
        self.start_names(&rabbit, epmd);
        self.start(name, "rabbitmq", &rabbit.env, &rabbitmq_server());
        self.await_rabbit(&rabbit);
        rabbit
    }

    /// Three nodes with a cookie and a name server of their own. The first stands before the others look for it.
    fn start_cluster(&self) -> [Rabbit; 3] {
        // The cookie lies in the home folder, which the nodes share.
        let home = self.own_folder("cluster", "rabbitmq");
        let (ports, epmd) = ([lasting_port(), lasting_port(), lasting_port()], lasting_port());
        let mut node = 0;
        let nodes = CLUSTER.map(|name| {
            let own = ports[node];
            let mut discovery = String::new();
            if node > 0 {
                discovery.push_str("cluster_formation.peer_discovery_backend = classic_config\n");
                for (number, port) in [ports[0], own].into_iter().enumerate() {
                    let line = format!("classic_config.nodes.{number} = {}\n", node_name(port));
                    discovery.push_str(&format!("cluster_formation.{line}"));
                }
            }
            node += 1;
            self.rabbit_node(name, own, epmd, &home, &discovery)
        });
        self.start_names(&nodes[0], epmd);
        self.start(nodes[0].name, "rabbitmq", &nodes[0].env, &rabbitmq_server());
        self.await_rabbit(&nodes[0]);
        for node in &nodes[1..] {
            self.start(node.name, "rabbitmq", &node.env, &rabbitmq_server());
        }
        for node in &nodes[1..] {
            self.await_rabbit(node);
        }
        let whole = run(rabbitmqctl(&nodes[0]).args(["await_online_nodes", "3", "--timeout", "60"]));
        assert!(whole.status.success(), "no cluster: {}", String::from_utf8_lossy(&whole.stderr));
        nodes
    }

    /// Writes what a node is configured with.
    fn rabbit_node(&self, name: &'static str, port: u16, epmd: u16, home: &Path, more: &str) -> Rabbit {
        let folder = self.own_folder(name, "rabbitmq");
        let dist = lasting_port();
        let config = folder.join("rabbitmq.conf");
        let listen = format!("listeners.tcp.1 = 127.0.0.1:{port}\nlog.file.level = warning\n{more}");
        fs::write(&config, listen).unwrap();
        fs::write(folder.join("plugins"), "[].\n").unwrap();
        let text = |path: &Path| path.display().to_string();
        let pid = self.folder.join(format!("{name}.pid"));
        fs::write(&pid, "").unwrap();
        if is_root() {
            run(Command::new("chown").arg("rabbitmq:").args([&pid, &config]));
        }
        let env: Vec<(String, String)> = [
            ("HOME", text(home)),
            ("RABBITMQ_NODENAME", node_name(port)),
            ("RABBITMQ_NODE_PORT", port.to_string()),
            ("RABBITMQ_DIST_PORT", dist.to_string()),
            ("RABBITMQ_MNESIA_BASE", text(&folder.join("mnesia"))),
            ("RABBITMQ_LOG_BASE", text(&folder.join("log"))),
            ("RABBITMQ_PID_FILE", text(&pid)),
            ("RABBITMQ_CONFIG_FILE", text(&config)),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", text(&folder.join("plugins"))),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none".to_owned()),
            ("ERL_EPMD_PORT", epmd.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            // Under this flag the start script keeps no process of its own in front of the server.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        Rabbit { name, port, env }
    }

    /// A name server of our own: one that the node starts itself would outlive it.
    fn start_names(&self, rabbit: &Rabbit, epmd: u16) {
        let names = binary("epmd", &["/usr/bin", "/usr/local/bin"]);
        let names_name = format!("{}_names", rabbit.name);
        self.start(&names_name, "rabbitmq", &rabbit.env, &format!("{} -port {epmd}", names.display()));
        self.await_port(&names_name, epmd, || true);
    }

    fn await_rabbit(&self, rabbit: &Rabbit) {
        self.await_port(rabbit.name, rabbit.port, || {
            run(rabbitmqctl(rabbit).args(["await_startup", "--timeout", "60"])).status.success()
        });
    }
}

fn rabbitmq_server() -> String {
    binary("rabbitmq-server", &["/usr/lib/rabbitmq/bin"]).display().to_string()
}

/// Of the node that listens on this port.
fn node_name(port: u16) -> String {
    format!("tongbao{port}@localhost")
}

fn rabbitmqctl(rabbit: &Rabbit) -> Command {
    rabbitmq(rabbit, "rabbitmqctl")
}

/// One of RabbitMQ's tools, for a node.
fn rabbitmq(rabbit: &Rabbit, tool: &str) -> Command {
    let mut command = as_user("rabbitmq", binary(tool, &["/usr/lib/rabbitmq/bin"]));
    command.envs(rabbit.env.iter().map(|(key, value)| (key, value)));
    command
}

/// Where the servers keep their data: in memory if there is room, because removing tens of thousands of files takes a
/// minute on some disks. Set TMPDIR to have them on a disk, as a measurement must.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if std::env::var_os("TMPDIR").is_some() || !memory.is_dir() {
        return std::env::temp_dir();
    }
    let free = run(Command::new("df").args(["--output=avail", "-k"]).arg(memory)).stdout;
    let free = String::from_utf8_lossy(&free).lines().last().and_then(|line| line.trim().parse::<u64>().ok());
    if free.is_some_and(|kib| kib >= 4 << 20) { memory.to_path_buf() } else { std::env::temp_dir() }
}

/// A port that stays free while a server that listens on it is stopped and started again: nobody listens on it, and it
/// is below the range that the system gives others theirs from.
pub fn lasting_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run side by side begin far from each other.
    let first = u16::try_from(std::process::id().wrapping_mul(61) % 10_000).unwrap();
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn mariadb_client(port: u16) -> Command {
    let mut client = Command::new(binary("mariadb", &["/usr/bin", "/usr/local/bin"]));
    client.args(["--no-defaults", "-h", "127.0.0.1", "-P", &port.to_string(), "-u", "root", "-e"]);
    client
}

fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| run(Command::new("id").arg("-u")).stdout == b"0\n")
}

/// A command under a server's own user, which servers insist on when root starts them.
fn as_user(user: &str, program: PathBuf) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--clear-groups").arg(program);
    command
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

fn binary(name: &str, folders: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = folders.iter().map(PathBuf::from);
    let found =
        known.chain(std::env::split_paths(&path)).map(|folder| folder.join(name)).find(|file| file.exists());
    found.unwrap_or_else(|| panic!("{name} {INSTALL}"))
}

/// PostgreSQL's programs are not on the path on Debian; the newest version counts.
fn postgres_binary(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = versions
            .map(|version| version.path().join("bin"))
            .filter(|bin| bin.join("initdb").exists())
            .collect();
        folders.sort();
        folders
            .pop()
            .unwrap_or_else(|| binary("initdb", &[]).parent().map(Path::to_path_buf).unwrap_or_default())
    });
    folder.join(name)
}
