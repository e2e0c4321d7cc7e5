//! What must be seen of a fault: by its client, in the access log, among the metrics, and by who asks for an explanation.

use http::StatusCode;
use serde_json::Value;

use crate::{
    proxy_status,
    scene::{Played, Scene, Seen, Told},
    support::{client, client::Reply, gateway::TestGateway, until},
};

/// The words of a scene's row.
struct Row {
    status: u16,
    name: &'static str,
    reason: Option<&'static str>,
    cause: &'static str,
    stage: &'static str,
    begun_by: &'static str,
}

/// Fails where something that is told differs from the scene's row.
pub async fn check(scene: &Scene, played: Played) {
    let row = Row::of(scene.row);
    let Played { gate, seen } = played;
    let id = match (&seen, scene.told) {
        (Seen::Answer(reply), Told::Problem | Told::Page | Told::Grpc(_)) => {
            check_answer(scene, &row, reply);
            Some(reply.header("x-request-id").to_owned()).filter(|id| !id.is_empty())
        }
        (Seen::Cut, Told::Cut) | (Seen::Nothing, Told::Nothing) => None,
        (seen, told) => panic!("the client got {seen:?} instead of {told:?}"),
    };
    let line = logged(&gate, &row, id.as_deref()).await;
    check_line(&row, &line);
    check_metric(&gate, &row, &line).await;
    let id = line["request_id"].as_str().expect("the line has an id");
    check_explanation(scene, &row, &gate, id).await;
}

fn check_answer(scene: &Scene, row: &Row, reply: &Reply) {
    let told = proxy_status::read(reply.header("proxy-status"));
    assert_eq!(told.proxy, "tidegate");
    assert_eq!(told.tokens["error"], row.name);
    assert_eq!(told.tokens["cause"], row.cause);
    let shed = scene.kind.shed_reason().is_some();
    let reason = told.tokens.get("reason").map(String::as_str);
    assert_eq!(reason, row.reason.filter(|_| shed), "{told:?}");
    assert!(told.strings.is_empty(), "details are not shown: {told:?}");
    let (id, title) = (reply.header("x-request-id"), scene.kind.facts().title);
    let is_a_panic = row.reason == Some("panic"); // whose trail is gone when it is answered
    assert!(is_a_panic || !id.is_empty());
    match scene.told {
        Told::Grpc(code) => {
            assert_eq!(reply.status, StatusCode::OK);
            assert_eq!(reply.header("grpc-status"), code.to_string());
            return;
        }
        Told::Page => {
            assert!(reply.header("content-type").starts_with("text/html"));
            let page = reply.text();
            assert!(page.contains(title) && page.contains(id), "{page}");
        }
        _ => {
            assert_eq!(reply.header("content-type"), "application/problem+json");
            let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
            assert_eq!(body["status"], row.status);
            assert_eq!(body["title"], title);
            assert_eq!(body["cause"], row.cause);
            assert_eq!(body["reason"], row.reason.unwrap_or(row.name));
            assert_eq!(body["type"], format!("urn:ietf:rfc:9209#{}", row.name));
            assert_eq!(body["request_id"], id);
        }
    }
    assert_eq!(reply.status.as_u16(), row.status);
    if matches!(row.status, 429 | 503) {
        let wait = reply.header("retry-after").parse::<u64>();
        assert!(wait.is_ok_and(|seconds| seconds >= 1), "{reply:?}");
    }
}

/// The line of the access log, once it is there.
async fn logged(gate: &TestGateway, row: &Row, id: Option<&str>) -> Value {
    let path = gate.path().with_file_name("access.log");
    let find = || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().rfind(|line| match id {
            Some(id) => line["request_id"] == *id,
            None => line["kind"] == *row.name && line["reason"].as_str() == row.reason,
        })
    };
    let waiting = until("the access log has a line of it", || find().is_some());
    if tokio::time::timeout(client::GENEROUS / 2, waiting)
        .await
        .is_err()
    {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        panic!("no line of {}/{:?} in\n{text}", row.name, row.reason);
    }
    find().expect("it is there")
}

fn check_line(row: &Row, line: &Value) {
    assert_eq!(line["kind"], row.name, "{line}");
    assert_eq!(line["reason"].as_str(), row.reason, "{line}");
    assert_eq!(line["cause"], row.cause, "{line}");
    assert_eq!(line["stage"], row.stage, "{line}");
}

async fn check_metric(gate: &TestGateway, row: &Row, line: &Value) {
    let word = |key: &str| line[key].as_str().expect("a word").to_owned();
    let series = format!(
        "tidegate_faults_total{{route=\"{}\",upstream=\"{}\",cause=\"{}\",kind=\"{}\",stage=\"{}\"}}",
        word("route"),
        word("upstream"),
        row.cause,
        row.name,
        row.stage
    );
    let counted = gate.metric(&series).await;
    assert!(counted >= 1.0, "{series} is {counted}");
}

async fn check_explanation(scene: &Scene, row: &Row, gate: &TestGateway, id: &str) {
    let told = client::admin(gate.admin, &format!("/api/v1/requests/{id}")).await;
    assert_eq!(told.status, StatusCode::OK, "{told:?}");
    let view: Value = serde_json::from_slice(&told.body).expect("JSON");
    let fault = &view["request"]["fault"];
    assert_eq!(fault["kind"], row.name);
    assert_eq!(fault["reason"].as_str(), row.reason);
    assert_eq!(fault["begun_by"], row.begun_by);
    let sentence = view["verdict"]["sentence"].as_str().expect("a sentence");
    let word = match row.reason {
        Some(reason) => format!("{}/{reason}", row.name),
        None => row.name.to_owned(),
    };
    let begin = format!(
        "{} Cause: {}; kind {word}, seen at stage {}",
        scene.kind.facts().title,
        row.cause,
        row.stage
    );
    assert!(
        sentence.starts_with(&begin),
        "{sentence:?} instead of {begin:?}"
    );
    let next = view["verdict"]["next"].as_array().expect("next steps");
    assert_eq!(next.len(), scene.kind.guide().look.len());
}

// === impl Row ===

impl Row {
    fn of(text: &'static str) -> Self {
        let words: Vec<_> = text.split(' ').collect();
        let [status, kind, cause, stage, begun_by] = words[..] else {
            panic!("{text:?} has another number of words than five");
        };
        let (name, reason) = kind.split_once('/').expect("NAME/REASON");
        Self {
            status: status.parse().expect("a status"),
            name,
            reason: (reason != "-").then_some(reason),
            cause,
            stage,
            begun_by,
        }
    }
}
