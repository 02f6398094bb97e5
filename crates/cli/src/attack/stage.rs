//! Everything that takes part: the model, two peers, the attacker before one of them, and a fresh client for each question.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode};
use sealwire::compat::chutes::{GUARANTEES, Holds};
use sealwire_http::net::{
    BaseUrl, ClientConfig, Handler, HttpClient, Server, ServerLimits, full, next_data, read_all,
};
use sealwire_http::profile::Profile;
use sealwire_http::sse::{self, Splitter};
use sealwire_instance::InstanceConfig;
use sealwire_instance::evidence::{EvidenceConfig, QuoteSource};
use sealwire_relay::RelayConfig;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::answer::{Collected, Truth, Verdict};
use super::deployed::{Deployed, MakeEvidence};
use super::list::Attack;
use super::relay::AttackRelay;
use super::rig::Rig;
use super::{AttackError, MODEL, clients, failed};
use crate::demo_model::{self, DemoModelConfig};
use crate::identity_file;
use crate::provider::{codec, provider};

/// Longest time for one question.
const PATIENCE: Duration = Duration::from_secs(60);
/// The script that asks through the published client.
const PUBLISHED: &str = include_str!("published.py");

/// Who is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contender {
    Published,
    OursAtDeployed,
    OursAtOurs,
    Native,
}

impl Contender {
    pub(super) const ALL: [Self; 4] = [
        Self::Published,
        Self::OursAtDeployed,
        Self::OursAtOurs,
        Self::Native,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Published => "published client",
            Self::OursAtDeployed | Self::OursAtOurs => "our chutes-v1 client",
            Self::Native => "native sealwire",
        }
    }

    /// At which peer.
    pub(super) const fn peer(self) -> &'static str {
        match self {
            Self::Published | Self::OursAtDeployed => "deployed peer",
            Self::OursAtOurs | Self::Native => "our instance",
        }
    }

    pub(super) const fn is_our_chutes(self) -> bool {
        matches!(self, Self::OursAtDeployed | Self::OursAtOurs)
    }

    /// Whether it says that it refuses this.
    pub(super) fn promises(self, attack: Attack) -> bool {
        let holds = GUARANTEES
            .iter()
            .find(|guarantee| guarantee.name == attack.guarantee())
            .map(|guarantee| match self {
                Self::OursAtDeployed => guarantee.deployed_peer,
                _ => guarantee.both_ends,
            });
        match self {
            Self::Published => false,
            Self::Native => true,
            // Evidence is what request secrecy rests on: lies about it are refused at any peer.
            Self::OursAtDeployed | Self::OursAtOurs => {
                attack.guarantee() == "request-secrecy" || holds == Some(Holds::Yes)
            }
        }
    }
}

pub(super) struct Stage {
    client: HttpClient,
    rig: Arc<Rig>,
    python: Option<PathBuf>,
    deployed: BaseUrl,
    relay: BaseUrl,
    truth: Truth,
    _model: Server,
    _deployed: Server,
    _instance: sealwire_instance::Instance,
    _relay: sealwire_relay::Relay,
}

fn url(address: std::net::SocketAddr) -> Result<BaseUrl, AttackError> {
    format!("http://{address}").parse().map_err(failed)
}

async fn serve<H: Handler>(handler: Arc<H>) -> Result<Server, AttackError> {
    Server::start(([127, 0, 0, 1], 0).into(), ServerLimits::default(), handler)
        .await
        .map_err(failed)
}

/// One question for all; it can be read as chat and as completion, so that a changed path has an effect.
fn question() -> Value {
    json!({
        "model": MODEL,
        "stream": true,
        "stream_options": {"include_usage": true},
        "max_tokens": 12,
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
        "prompt": "What does the sea say?",
    })
}

impl Stage {
    pub(super) async fn start(python: Option<PathBuf>) -> Result<Self, AttackError> {
        let client = HttpClient::new(&ClientConfig::default());
        let rig = Arc::new(Rig::new().map_err(failed)?);
        let model = demo_model::start(DemoModelConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            model: MODEL.to_owned(),
            token_delay: Duration::ZERO,
            max_model_len: None,
        })
        .await
        .map_err(failed)?;
        let upstream = url(model.address())?;

        let deployed = Deployed::new(&codec(), upstream.clone(), client.clone(), maker(&rig))
            .map_err(failed)?;
        let deployed = serve(Arc::new(deployed)).await?;

        let mut config = InstanceConfig::new(upstream.clone(), MODEL);
        config.profiles = Profile::ALL.to_vec();
        let mut evidence = EvidenceConfig::new(QuoteSource::Provider(Arc::clone(&rig) as _));
        evidence.gpu = Some(Arc::clone(&rig) as _);
        evidence.certificate = Some(Rig::certificate());
        config.evidence = Some(evidence);
        let seed = identity_file::fresh(&provider()).map_err(failed)?;
        let instance = sealwire_instance::start(config, provider(), &seed, client.clone())
            .await
            .map_err(failed)?;
        let mut config = RelayConfig::new(vec![url(instance.address())?]);
        config.profiles = Profile::ALL.to_vec();
        let relay = sealwire_relay::start(config, client.clone())
            .await
            .map_err(failed)?;

        let direct = ask(&client, &upstream).await;
        let truth = Truth {
            text: direct.text.clone(),
            completion_tokens: direct
                .completion_tokens
                .ok_or_else(|| failed("the demo model gave no answer"))?,
        };
        let stage = Self {
            deployed: url(deployed.address())?,
            relay: url(relay.address())?,
            client,
            rig,
            python,
            truth,
            _model: model,
            _deployed: deployed,
            _instance: instance,
            _relay: relay,
        };
        stage.wait_for_model().await?;
        Ok(stage)
    }

    /// The relay looks for its instances in the background.
    async fn wait_for_model(&self) -> Result<(), AttackError> {
        for _ in 0..100 {
            let mut request = Request::new(full(""));
            *request.uri_mut() = self.relay.join("/v1/models").map_err(failed)?;
            let answer = self.client.send(request).await.map_err(failed)?;
            let mut body = answer.into_body();
            let body = read_all(&mut body, 1 << 20, PATIENCE)
                .await
                .map_err(failed)?;
            let models: Value = serde_json::from_slice(&body).map_err(failed)?;
            if models.pointer("/data/0").is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err(failed("the relay did not find the instance"))
    }

    /// Every client gets the model's own answer if nobody attacks: otherwise its refusals would mean nothing.
    pub(super) async fn check(&self) -> Result<(), AttackError> {
        for contender in Contender::ALL {
            match self.attack(contender, None).await? {
                Verdict::NoEffect | Verdict::NotRun => {}
                other => {
                    return Err(failed(format!(
                        "{} at {} gets no answer even without an attack: {other:?}",
                        contender.name(),
                        contender.peer()
                    )));
                }
            }
        }
        Ok(())
    }

    /// One question through one client, with the attacker between; `None` attacks nothing.
    pub(super) async fn attack(
        &self,
        contender: Contender,
        attack: Option<Attack>,
    ) -> Result<Verdict, AttackError> {
        if contender == Contender::Published && self.python.is_none() {
            return Ok(Verdict::NotRun);
        }
        let honest = match contender {
            Contender::Published | Contender::OursAtDeployed => self.deployed.clone(),
            Contender::OursAtOurs | Contender::Native => self.relay.clone(),
        };
        let attacker = Arc::new(
            AttackRelay::new(
                attack,
                honest,
                self.client.clone(),
                &codec(),
                maker(&self.rig),
            )
            .map_err(failed)?,
        );
        let between = serve(Arc::clone(&attacker)).await?;
        let got = timeout(PATIENCE, self.answer(contender, url(between.address())?))
            .await
            .map_err(|_| failed("a client did not come to an end"))??;
        let loot = attacker.loot();
        let verdict = self.truth.judge(&got);
        Ok(match verdict {
            _ if loot.read => Verdict::Accepted("relay reads request".to_owned()),
            Verdict::NoEffect => match loot.replay {
                Some(Ok(())) => Verdict::Accepted("model runs it again".to_owned()),
                Some(Err(code)) => Verdict::Refused(code),
                None if attack.is_some_and(Attack::is_about_evidence) => {
                    Verdict::Accepted("sends all the same".to_owned())
                }
                None => Verdict::NoEffect,
            },
            other => other,
        })
    }

    async fn answer(
        &self,
        contender: Contender,
        attacker: BaseUrl,
    ) -> Result<Collected, AttackError> {
        let proxy = match contender {
            Contender::Published => return self.published(&attacker).await,
            Contender::OursAtDeployed | Contender::OursAtOurs => {
                clients::chutes(attacker, &self.rig, &self.client).await?
            }
            Contender::Native => clients::native(attacker, &self.rig, &self.client).await?,
        };
        Ok(ask(&self.client, &url(proxy.address())?).await)
    }

    async fn published(&self, attacker: &BaseUrl) -> Result<Collected, AttackError> {
        let Some(python) = &self.python else {
            return Err(failed("no Python"));
        };
        let output = tokio::process::Command::new(python)
            .args(["-c", PUBLISHED, &attacker.to_string()])
            .arg(question().to_string())
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| failed(format!("{}: {error}", python.display())))?;
        serde_json::from_slice(&output.stdout).map_err(|_| {
            failed(format!(
                "the published client does not run with {}; it needs chutes-e2ee and pqcrypto 0.4.0: {}",
                python.display(),
                String::from_utf8_lossy(&output.stderr).trim_end()
            ))
        })
    }
}

fn maker(rig: &Arc<Rig>) -> MakeEvidence {
    let rig = Arc::clone(rig);
    Arc::new(move |nonce, key| rig.chutes(nonce, key))
}

/// Asks as an OpenAI client library does.
async fn ask(client: &HttpClient, base: &BaseUrl) -> Collected {
    let mut got = Collected::default();
    if let Err(why) = ask_into(&mut got, client, base).await {
        got.error = Some(why);
    }
    got
}

async fn ask_into(got: &mut Collected, client: &HttpClient, base: &BaseUrl) -> Result<(), String> {
    let mut request = Request::new(full(question().to_string()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = base
        .join("/v1/chat/completions")
        .map_err(|error| error.to_string())?;
    request
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let answer = client
        .send(request)
        .await
        .map_err(|_| "connection aborted".to_owned())?;
    let status = answer.status();
    let mut body = answer.into_body();
    if status != StatusCode::OK {
        let body = read_all(&mut body, 1 << 20, PATIENCE)
            .await
            .unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        got.fail(
            body.get("error")
                .unwrap_or(&json!({"code": status.as_str()})),
        );
        return Ok(());
    }
    let mut splitter = Splitter::new(1 << 20);
    loop {
        match next_data(&mut body, PATIENCE).await {
            Ok(Some(data)) => splitter.push(&data),
            Ok(None) => break,
            Err(_) if got.error.is_some() => return Ok(()),
            Err(_) => return Err("connection aborted".to_owned()),
        }
        while let Some(event) = splitter.next_event().map_err(|error| error.to_string())? {
            if let Some(data) = sse::data(&event) {
                got.event(&data);
            }
        }
    }
    // Client libraries take the end of the stream for the end of the answer.
    got.done |= got.error.is_none();
    Ok(())
}
