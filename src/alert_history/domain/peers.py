"""Peers: Alertmanagers of one cluster are one witness, once two of them have named one start of a label set."""

from alert_history.domain.claim import UNKNOWN_SENDER, Claim, Ended, Word, is_same_start
from alert_history.domain.standing import Firing, Standing, Witnesses


def take_over(firing: Firing, word: Word, sender: str) -> None:
    """A claim that a release before ours kept without its sender is that of the first who may have made it."""
    for claim in firing.claims:
        if claim.sender == UNKNOWN_SENDER and claim.is_first_hand == (word.kind == "first_hand"):
            claim.sender = sender


def rename_peers(standing: Standing, witnesses: Witnesses) -> None:
    """Let what is remembered of peers be that of one witness."""
    for word in standing.known_ends:
        if not word.is_first_hand:
            word.sender = witnesses.of(word.sender)
    if standing.firing is not None:
        merge_peers(standing.firing, witnesses)


def merge_peers(firing: Firing, witnesses: Witnesses) -> None:
    """Let claims of peers be one witness's, if that was not known yet when they were made: the latest word stands."""
    latest: dict[str, Claim] = {}
    for claim in firing.claims:
        if not claim.is_first_hand:
            claim.sender = witnesses.of(claim.sender)
            if claim.sender not in latest or claim.last_us >= latest[claim.sender].last_us:
                latest[claim.sender] = claim
    firing.claims = [c for c in firing.claims if c.is_first_hand or latest[c.sender] is c]


def find_peer(standing: Standing, sender: str, word: Word) -> str | None:
    """Another witness that names the same start, now or of the last firing: it is the same one."""
    if not word.is_start_given or word.end_us == word.start_us:
        return None
    claims: list[Claim | Ended] = []
    if standing.firing is not None:
        claims = [*standing.firing.claims, *standing.firing.ended]
    elif standing.past:
        claims = [*standing.past[-1].words]
    peers = [
        claim.sender for claim in claims if not claim.is_first_hand and is_same_start(claim.start_us, word.start_us)
    ]
    return peers[0] if peers and sender not in peers else None
