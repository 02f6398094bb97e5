//! What to do about an error, by its stable code.

/// One sentence for the user, where there is something to do.
pub(super) fn of(code: &str) -> Option<&'static str> {
    Some(match code {
        "relay_unreachable" => {
            "check the relay's address and this machine's network; behind an HTTP proxy set HTTPS_PROXY, and name a private certificate authority with --ca"
        }
        "relay_auth" | "relay_401" => {
            "give the relay's key with --relay-key @FILE or SEALWIRE_RELAY_KEY; with --forward-key applications bring it, and this examination has none"
        }
        "relay_402" | "relay_quota" => {
            "the account at the relay is at its limit: add credit or wait"
        }
        "relay_403" => {
            "the relay refuses this key: check that it is of the right account and may invoke models"
        }
        "relay_429" | "relay_busy" | "handshake_timeout" => {
            "the relay or the instance is busy: try again in a moment, and raise --handshake-timeout if it stays so"
        }
        "relay_not_sealwire" => {
            "--relay must be the address of a sealwire relay; for a deployed Chutes API use --profile chutes-v1"
        }
        "relay_not_chutes" => {
            "--api-base and --e2e-base must be the addresses of a Chutes API; for a sealwire relay use --profile native"
        }
        "relay_not_sealed" => {
            "something between here and the relay changes its answers: use https, or another network"
        }
        "no_models" => {
            "see that an instance is registered at the relay and that the key may use it; with --profile chutes-v1 only confidential models count"
        }
        "model_not_found" => "name a model of the list with --model, --default-model or --alias",
        "ambiguous_alias" => "name one model instead of the relay's alias",
        "not_confidential" => {
            "choose a confidential model; to give that up for this one, --allow-non-confidential MODEL"
        }
        "no_instance" | "relay_gone" => {
            "no instance serves the model now: try again later, or use another model"
        }
        "identity_untrusted" => {
            "the relay offers instances with other identities than those pinned: compare with what `sealwire instance` prints, and correct --pin"
        }
        "evidence_rejected" | "not_attested" => {
            "the failed checks are named above; if the instances were updated, read their new evidence with `sealwire attest show` before you change the policy"
        }
        "no_evidence" => {
            "the relay or the source of collateral does not serve evidence: check the network, or use --collateral FILE or --pccs URL"
        }
        "no_collateral" => {
            "give Intel's collateral with --collateral FILE, or where to fetch it with --pccs URL"
        }
        "evidence_timeout" => {
            "the instance takes long to make evidence: try again; if it stays so, its operator must look"
        }
        "policy_suite" | "policy_single_use" => {
            "the relay offers nothing that --suite and --single-use allow: leave them out, or ask its operator"
        }
        "clock" | "clock_skew" | "bundle_window" => "set this machine's clock, for instance by NTP",
        "upstream" | "upstream_timeout" | "instance_error" => {
            "the model server behind the instance has a problem: its operator must look"
        }
        "local_crypto" => {
            "this machine's random generator or crypto library fails: nothing is safe here until that is mended"
        }
        _ => return None,
    })
}
