//! Names for containers nobody named: an adjective and a word of boats and water.

use spec::Name;

const ADJECTIVES: [&str; 64] = [
    "able", "amber", "ample", "apt", "bold", "brave", "bright", "brisk", "calm", "candid", "clear", "clever", "cosy", "crisp", "daring",
    "deft", "eager", "early", "easy", "fair", "fine", "firm", "fleet", "fond", "frank", "free", "fresh", "gentle", "glad", "golden",
    "good", "grand", "happy", "hardy", "honest", "jolly", "keen", "kind", "light", "lively", "loyal", "lucky", "mellow", "merry", "mild",
    "neat", "nimble", "noble", "plain", "proud", "quick", "quiet", "ready", "rosy", "sharp", "smart", "snug", "steady", "still", "stout",
    "sunny", "swift", "warm", "wise",
];

const NOUNS: [&str; 64] = [
    "anchor", "bay", "beacon", "boat", "bow", "breeze", "bridge", "buoy", "canoe", "cape", "coast", "coracle", "cove", "crew", "current",
    "cutter", "deck", "delta", "dinghy", "dock", "drift", "ebb", "eddy", "ferry", "fjord", "galley", "gull", "harbour", "haven", "heron",
    "hull", "inlet", "island", "jetty", "kayak", "keel", "ketch", "lagoon", "lake", "mast", "oar", "otter", "paddle", "pier", "pilot",
    "port", "quay", "raft", "reef", "ripple", "river", "rudder", "sail", "shoal", "shore", "skiff", "sloop", "spray", "stream", "swan",
    "tide", "wake", "wave", "wharf",
];

/// Makes a name of two words; `attempt` adds a number once pairs get scarce.
pub fn random_name(attempt: u32) -> Name {
    let [a, b, c, d] = crate::host::random::<4>();
    let mut text = format!("{}_{}", ADJECTIVES[usize::from(a) % 64], NOUNS[usize::from(b) % 64]);
    if attempt > 2 {
        text.push_str(&format!("{}", u16::from_le_bytes([c, d])));
    }
    Name::parse(&text).expect("two lower-case words joined by an underscore are a name")
}
