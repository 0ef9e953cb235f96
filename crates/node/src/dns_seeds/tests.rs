use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Message, OpCode},
    rr::{RData, Record, RecordType, rdata::TXT},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
};

use super::*;
use crate::{Config, Node, WaitFor};

/// What a name server knows.
type Zone = BTreeMap<(String, RecordType), Vec<RData>>;

/// How much fits into an answer by UDP; more is asked again by TCP.
const UDP_LEN_MAX: usize = 1_232;

/// A name server on loopback that knows a zone, by UDP and TCP, for as long as the test's runtime lives.
async fn serve(zone: Zone) -> SocketAddr {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(addr).await.unwrap();
    let zone_of_tcp = zone.clone();
    tokio::spawn(async move {
        let mut buffer = [0; UDP_LEN_MAX];
        while let Ok((len, from)) = udp.recv_from(&mut buffer).await {
            let mut answer = answer(&zone, &buffer[..len]);
            if answer.to_vec().unwrap().len() > UDP_LEN_MAX {
                answer.answers.clear();
                answer.metadata.truncation = true;
            }
            udp.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            tokio::spawn(serve_stream(zone_of_tcp.clone(), stream));
        }
    });
    addr
}

async fn serve_stream(zone: Zone, mut stream: TcpStream) {
    while let Ok(len) = stream.read_u16().await {
        let mut question = vec![0; len.into()];
        stream.read_exact(&mut question).await.unwrap();
        let answer = answer(&zone, &question).to_vec().unwrap();
        stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

fn answer(zone: &Zone, question: &[u8]) -> Message {
    let question = Message::from_vec(question).unwrap();
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    for query in &question.queries {
        answer.add_query(query.clone());
        let known = zone.get(&(query.name().to_string().to_lowercase(), query.query_type()));
        for data in known.into_iter().flatten() {
            answer.add_answer(Record::from_rdata(query.name().clone(), 60, data.clone()));
        }
    }
    answer
}

fn ips(name: &str, ips: impl IntoIterator<Item = IpAddr>) -> Zone {
    let mut zone = Zone::new();
    for ip in ips {
        let (kind, data) = match ip {
            IpAddr::V4(ip) => (RecordType::A, RData::A(ip.into())),
            IpAddr::V6(ip) => (RecordType::AAAA, RData::AAAA(ip.into())),
        };
        zone.entry((format!("{name}."), kind)).or_default().push(data);
    }
    zone
}

fn texts(name: &str, texts: &[&str]) -> Zone {
    let texts = texts.iter().map(|text| RData::TXT(TXT::new(vec![(*text).to_owned()]))).collect();
    Zone::from([((format!("_dnsaddr.{name}."), RecordType::TXT), texts)])
}

fn name(text: &str) -> SeedName {
    text.parse().unwrap()
}

fn endpoints(found: &Found) -> Vec<String> {
    found.iter().map(|(endpoint, _)| endpoint.to_string()).collect()
}

#[tokio::test]
async fn every_a_and_aaaa_record_is_an_address_of_its_own() {
    let zone = ips("seed.example.org", ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|ip| ip.parse().unwrap()));
    let server = serve(zone).await;
    let names = vec![name("seed.example.org:8233"), name("nobody.example.org")];
    let found = search(names, Some(server)).await;
    let expected: Vec<_> = ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
        .map(|ip| Endpoint::Ip { ip: ip.parse().unwrap(), port: 8_233, transport: Transport::Tcp }.to_string())
        .into();
    assert_eq!(endpoints(&found), expected);
    assert!(found.iter().all(|(_, peer)| peer.is_none()));
}

#[tokio::test]
async fn dnsaddr_names_whole_addresses_and_other_names() {
    let peer = PeerId::random();
    let with_peer = format!("dnsaddr=/ip4/192.0.2.1/tcp/7/p2p/{peer}");
    let mut zone =
        texts("seed.example.org", &[&with_peer, "dnsaddr=/dnsaddr/more.example.org", "dnsaddr=nothing", "v=spf1 -all"]);
    zone.extend(texts("more.example.org", &["dnsaddr=/ip4/192.0.2.2/tcp/8", "dnsaddr=/dnsaddr/seed.example.org"]));
    let found = search(vec![name("/dnsaddr/seed.example.org")], Some(serve(zone).await)).await;
    assert_eq!(found.iter().map(|(_, peer)| *peer).collect::<Vec<_>>(), [Some(peer), None]);
    assert!(endpoints(&found)[1].contains("192.0.2.2"), "{found:?}");
}

#[tokio::test]
async fn fault_a_name_that_leads_to_thousands_keeps_no_other_out() {
    let many = |count: u32| (0..count).map(|number| IpAddr::from(Ipv4Addr::from(0x0101_0000 + number)));
    let server = serve({
        let mut zone = ips("many.example.org", many(1_000));
        zone.extend(ips("few.example.org", ["192.0.2.1".parse().unwrap()]));
        zone
    });
    let found = search(vec![name("many.example.org"), name("few.example.org")], Some(server.await)).await;
    assert_eq!(found.len(), FOUND_MAX / 2 + 1);
    for (count, expected) in [(FOUND_MAX - 1, FOUND_MAX - 1), (FOUND_MAX, FOUND_MAX), (FOUND_MAX + 1, FOUND_MAX)] {
        let server = serve(ips("many.example.org", many(count.try_into().unwrap()))).await;
        assert_eq!(search(vec![name("many.example.org")], Some(server)).await.len(), expected);
    }
}

#[tokio::test]
async fn fault_names_that_name_names_for_ever_come_to_an_end() {
    let chain = |length: usize| {
        let mut zone = Zone::new();
        for number in 0..length {
            let next = format!("dnsaddr=/dnsaddr/n{}.example.org", number + 1);
            let here = format!("dnsaddr=/ip4/192.0.2.{number}/tcp/7");
            zone.extend(texts(&format!("n{number}.example.org"), &[&here, &next]));
        }
        zone
    };
    for (length, expected) in [
        (DNSADDR_LOOKUPS_MAX - 1, DNSADDR_LOOKUPS_MAX - 1),
        (DNSADDR_LOOKUPS_MAX, DNSADDR_LOOKUPS_MAX),
        (DNSADDR_LOOKUPS_MAX + 1, DNSADDR_LOOKUPS_MAX),
    ] {
        let server = serve(chain(length)).await;
        assert_eq!(search(vec![name("/dnsaddr/n0.example.org")], Some(server)).await.len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_knows_only_a_name_finds_its_peers_and_dials_none_inside_its_site() {
    let config =
        |listen: &str| Config { listen: vec![listen.parse().unwrap()], allow_private_addrs: true, ..Config::default() };
    let first = Node::start(config("/ip4/127.0.71.1/tcp/0")).await.unwrap();
    let Some(Protocol::Tcp(port)) = first.listen()[0].iter().nth(1) else { panic!("{:?}", first.listen()) };
    let second = Node::start(config(&format!("/ip4/127.0.72.1/tcp/{port}"))).await.unwrap();
    let zone = ips("seed.example.org", ["127.0.71.1", "127.0.72.1"].map(|ip| ip.parse().unwrap()));
    let newcomer = Config {
        dns_seeds: vec![SeedName::Host { name: "seed.example.org".to_owned(), port }],
        dns_server: Some(serve(zone).await),
        ..config("/ip4/127.0.73.1/tcp/0")
    };
    let limit = Duration::from_secs(30);
    let cautious = Config { allow_private_addrs: false, ..newcomer.clone() };
    let found = Node::start(newcomer).await.unwrap();
    let waited = found.wait(&WaitFor { peers: Some(2), ..WaitFor::default() }, limit).await.unwrap();
    assert!(waited.held, "{:?}", waited.missing);
    let answers = search(cautious.dns_seeds.clone(), cautious.dns_server).await;
    let mut behaviour = bruit_stack::Behaviour::new(
        cautious.stack().unwrap().validate(cautious.network.clone(), crate::AGENT).unwrap(),
        PeerId::random(),
        bruit_stack::Seeds { chance: bruit_core::Seed::from_number(1), book: bruit_core::Seed::from_number(2) },
    );
    assert_eq!(answers.len(), 2);
    assert_eq!(behaviour.seeds_found(answers), 0, "private addresses stay outside of the book");
    for node in [first, second, found] {
        node.shutdown().await;
    }
}
