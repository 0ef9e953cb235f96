use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, stream};

use crate::{
    admin::{
        message::{Line, OfTopic, shown},
        routes::{Fault, json_line},
    },
    handle::{Delivery, Handle, Subscription},
};

/// Wants a topic and gives what comes, one line of JSON each. The files that are whole already come first.
pub(super) async fn subscribe(State(handle): State<Handle>, Json(of): Json<OfTopic>) -> Result<Response, Fault> {
    let subscription = handle.subscribe(&of.topic).await?;
    let whole = handle.files().lock().views().into_iter().filter(|view| view.complete && view.topic == of.topic);
    let first: Vec<Line> = std::iter::once(Line::Subscribed { topic: of.topic.clone() })
        .chain(whole.map(|view| line_of(&of.topic, Delivery::File(view))))
        .collect();
    let later = stream::unfold(subscription, async |mut subscription: Subscription| {
        let delivery = subscription.next().await?;
        let topic = subscription.topic().as_str().to_owned();
        Some((line_of(&topic, delivery), subscription))
    });
    let stopped = {
        let handle = handle.clone();
        async move {
            handle.stopped().await;
        }
    };
    let lines = stream::iter(first).chain(later).take_until(Box::pin(stopped)).map(|line| json_line(&line));
    Ok(Body::from_stream(lines).into_response())
}

fn line_of(topic: &str, delivery: Delivery) -> Line {
    let topic = topic.to_owned();
    match delivery {
        Delivery::Item { id, from, payload } => {
            let (text, hex) = shown(&payload);
            Line::Item { topic, item: id.to_string(), from, text, hex }
        }
        Delivery::File(view) => Line::File {
            topic,
            manifest: view.manifest,
            name: view.name,
            size: view.size,
            sha256: view.sha256,
            path: None,
        },
        Delivery::Lagged(missed) => Line::Lagged { missed },
    }
}
