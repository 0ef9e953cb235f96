use std::{
    io::{Read as _, Write as _},
    net::Ipv4Addr,
    sync::Arc,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
};

use ureq::tls::Certificate;

use super::*;
use crate::{Config, Handle, Node, WaitFor};

/// A server on loopback that says the same to everybody, for as long as the test's runtime lives.
async fn serve(head: &str, body: &str) -> SeedUrl {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/seeds.txt", listener.local_addr().unwrap()).parse().unwrap();
    let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut asked, mut buffer) = (Vec::new(), [0; 1_024]);
            while !asked.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut buffer).await.unwrap_or_default();
                if count == 0 {
                    break;
                }
                asked.extend_from_slice(&buffer[..count]);
                if !asked.starts_with(b"GET ") {
                    break;
                }
            }
            // Who wants no more of it may hang up.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

async fn why_not(url: SeedUrl) -> String {
    fetch(url, Fetch::default()).await.unwrap_err().to_string()
}

fn addrs(count: usize) -> String {
    (0..count).map(|number| format!("/ip4/1.2.{}.{}/tcp/7\n", number / 256, number % 256)).collect()
}

#[tokio::test]
async fn a_list_is_read_as_a_seed_file_and_a_bad_line_costs_that_line() {
    let text = "# ours\n/ip4/192.0.2.1/tcp/7 # one\n\n<html>\n/dns4/seed.example.org/tcp/8\n/ip4/192.0.2.2/tcp/0\n";
    let url = serve("200 OK", text).await;
    assert_eq!(fetch(url.clone(), Fetch::default()).await.unwrap(), text);
    let (found, bad) = read(text);
    assert_eq!(search(url).await, found);
    let found: Vec<_> = found.iter().map(|(endpoint, _)| endpoint.to_multiaddr().to_string()).collect();
    assert_eq!(found, ["/ip4/192.0.2.1/tcp/7", "/dns4/seed.example.org/tcp/8"]);
    let first = bad.first.unwrap();
    assert_eq!((bad.count, first.line, first.text.as_str()), (2, 4, "<html>"));
}

#[tokio::test]
async fn fault_a_list_without_end_fills_neither_memory_nor_book() {
    let limit = usize::try_from(BODY_BYTES_MAX).unwrap();
    for (length, is_taken) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
        let url = serve("200 OK", &"#".repeat(length)).await;
        assert_eq!(fetch(url, Fetch::default()).await.is_ok(), is_taken, "{length}");
    }
    for (count, taken) in [(FOUND_MAX - 1, FOUND_MAX - 1), (FOUND_MAX, FOUND_MAX), (FOUND_MAX + 1, FOUND_MAX)] {
        assert_eq!(search(serve("200 OK", &addrs(count)).await).await.len(), taken);
    }
}

#[test]
fn fault_of_lines_that_are_no_addresses_the_first_one_is_kept_and_how_it_begins() {
    for length in [BAD_TEXT_MAX - 1, BAD_TEXT_MAX, BAD_TEXT_MAX + 1] {
        let (found, bad) = read(&format!("{}\n", "<".repeat(length)).repeat(500));
        assert_eq!((found.len(), bad.count), (0, 500));
        let first = bad.first.unwrap();
        assert_eq!((first.line, first.text.len()), (1, length.min(BAD_TEXT_MAX)));
    }
    // The reason repeats what the line says.
    let first = read(&format!("/{}", "a".repeat(10 * BAD_TEXT_MAX))).1.first.unwrap();
    assert_eq!([&first.text, &first.reason].map(String::len), [BAD_TEXT_MAX; 2]);
}

#[tokio::test]
async fn fault_a_server_that_has_no_list_is_named_with_what_it_said() {
    assert!(why_not(serve("404 Not Found", "/ip4/192.0.2.1/tcp/7").await).await.contains("404"));
    assert!(why_not(serve("204 No Content", "").await).await.contains("204"));
    let moved = serve("200 OK", "/ip4/192.0.2.1/tcp/7").await;
    let mover = serve(&format!("302 Found\r\nLocation: {moved}"), "").await;
    assert!(why_not(mover).await.contains("302"), "by http nothing leads further");
    let plain = serve("200 OK", "").await.to_string().replace("http:", "https:");
    assert!(!why_not(plain.parse().unwrap()).await.is_empty(), "who speaks no TLS has no list");
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let error = why_not(format!("http://{closed}/").parse().unwrap()).await;
    assert!(error.contains("refused"), "{error}");
}

/// A server on loopback that speaks TLS and says the same to so many, and the certificate by which it is known.
fn serve_tls(answers: usize, head: &str, body: &str) -> (SeedUrl, Certificate<'static>) {
    let host = Ipv4Addr::LOCALHOST;
    let own = rcgen::generate_simple_self_signed([host.to_string()]).unwrap();
    let known_by = Certificate::from_der(own.cert.der()).to_owned();
    let key = PrivateKeyDer::try_from(own.key_pair.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![own.cert.der().clone()], key).unwrap());
    let listener = std::net::TcpListener::bind((host, 0)).unwrap();
    let url = format!("https://{}/seeds.txt", listener.local_addr().unwrap()).parse().unwrap();
    let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    thread::spawn(move || {
        for _ in 0..answers {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            // Who does not know the certificate hangs up.
            let _ = stream.read(&mut [0; 1_024]).and_then(|_| stream.write_all(answer.as_bytes()));
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (url, known_by)
}

#[tokio::test]
async fn a_list_is_fetched_by_https_from_a_server_that_is_known_by_its_certificate() {
    let (url, certificate) = serve_tls(2, "200 OK", &addrs(2));
    let known = Fetch { roots: [certificate].into(), ..Fetch::default() };
    assert_eq!(fetch(url.clone(), known).await.unwrap(), addrs(2));
    let unknown = fetch(url, Fetch::default()).await.unwrap_err().to_string();
    assert!(unknown.contains("certificate"), "{unknown}");
}

#[tokio::test]
async fn fault_https_leads_to_no_server_that_anybody_on_the_way_could_speak_for() {
    let plain = serve("200 OK", &addrs(2)).await;
    let (url, certificate) = serve_tls(1, &format!("302 Found\r\nLocation: {plain}"), "");
    let known = Fetch { roots: [certificate].into(), ..Fetch::default() };
    let error = fetch(url, known).await.unwrap_err().to_string();
    assert!(error.contains("https"), "{error}");
}

#[tokio::test]
async fn fault_a_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url: SeedUrl = format!("http://{}/", silent.local_addr().unwrap()).parse().unwrap();
    let error =
        fetch(url, Fetch { time_max: Duration::from_millis(100), ..Fetch::default() }).await.unwrap_err().to_string();
    assert!(error.contains("timeout"), "{error}");
}

fn config(listen: &str) -> Config {
    let mut config = Config { listen: vec![listen.parse().unwrap()], allow_private_addrs: true, ..Config::default() };
    config.peering.seed_stage_delay = Duration::from_millis(50);
    config
}

async fn connects(node: &Handle, peers: usize) -> bool {
    let wanted = WaitFor { peers: Some(peers), ..WaitFor::default() };
    node.wait(&wanted, Duration::from_secs(30)).await.unwrap().held
}

async fn joins(newcomer: Config, others: Vec<Handle>) {
    let newcomer = Node::start(newcomer).await.unwrap();
    let wanted = WaitFor { peers: Some(others.len()), ..WaitFor::default() };
    let waited = newcomer.wait(&wanted, Duration::from_secs(30)).await.unwrap();
    assert!(waited.held, "{:?}", waited.missing);
    for node in others.into_iter().chain([newcomer]) {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_knows_only_a_url_finds_its_peers() {
    let first = Node::start(config("/ip4/127.0.81.1/tcp/0")).await.unwrap();
    let second = Node::start(config("/ip4/127.0.82.1/tcp/0")).await.unwrap();
    let list = format!("{}\n{}\n", first.listen()[0], second.listen()[0]);
    let newcomer = Config { seed_list: Some(serve("200 OK", &list).await), ..config("/ip4/127.0.83.1/tcp/0") };
    joins(newcomer, vec![first, second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_other_seeds_are_dead_tries_the_fixed_ones() {
    let first = Node::start(config("/ip4/127.0.84.1/tcp/0")).await.unwrap();
    let newcomer = Config {
        seed_addrs: vec!["/ip4/127.0.85.1/tcp/9".parse().unwrap()],
        seed_list: Some(serve("404 Not Found", "").await),
        fixed_seeds: vec![first.listen()[0].clone()],
        ..config("/ip4/127.0.86.1/tcp/0")
    };
    joins(newcomer, vec![first]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_is_named_while_the_node_runs_is_used_though_every_source_has_been_looked_at() {
    let first = Node::start(config("/ip4/127.0.87.1/tcp/0")).await.unwrap();
    let second = Node::start(config("/ip4/127.0.88.1/tcp/0")).await.unwrap();
    let before = Config { fixed_seeds: first.listen().to_vec(), ..config("/ip4/127.0.89.1/tcp/0") };
    let newcomer = Node::start(before.clone()).await.unwrap();
    assert!(connects(&newcomer, 1).await, "the fixed seeds come last: every source has been looked at");
    let list = serve("200 OK", &second.listen()[0].to_string()).await;
    newcomer.reload(Config { seed_list: Some(list), ..before }).await.unwrap();
    assert!(connects(&newcomer, 2).await);
    for node in [first, second, newcomer] {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_a_url_that_does_not_answer_does_not_hold_up_the_one_that_is_named_instead() {
    let peer = Node::start(config("/ip4/127.0.90.1/tcp/0")).await.unwrap();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let before = Config {
        seed_list: Some(format!("http://{}/", silent.local_addr().unwrap()).parse().unwrap()),
        ..config("/ip4/127.0.91.1/tcp/0")
    };
    let newcomer = Node::start(before.clone()).await.unwrap();
    let _asked = silent.accept().await.unwrap();
    let list = serve("200 OK", &peer.listen()[0].to_string()).await;
    newcomer.reload(Config { seed_list: Some(list), ..before }).await.unwrap();
    assert!(connects(&newcomer, 1).await);
    for node in [peer, newcomer] {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_does_not_wait_for_names_that_have_been_taken_away() {
    let peer = Node::start(config("/ip4/127.0.92.1/tcp/0")).await.unwrap();
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut before = Config {
        dns_seeds: vec!["seed.example.org:7".parse().unwrap()],
        dns_server: Some(silent.local_addr().unwrap()),
        ..config("/ip4/127.0.93.1/tcp/0")
    };
    before.peering.seed_stage_delay = Duration::from_secs(3_600);
    let newcomer = Node::start(before.clone()).await.unwrap();
    silent.recv_from(&mut [0; 1_024]).await.unwrap();
    let list = serve("200 OK", &peer.listen()[0].to_string()).await;
    newcomer.reload(Config { dns_seeds: Vec::new(), seed_list: Some(list), ..before }).await.unwrap();
    assert!(connects(&newcomer, 1).await);
    for node in [peer, newcomer] {
        node.shutdown().await;
    }
}
