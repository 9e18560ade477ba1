/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Our protocols in BIRD, as its answer to `show protocols` has them: which are up, since when the others
 * are down, and what BIRD itself gives as the reason. Plain values; agent/desired/sessions.c judges them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whose word the reason is. */
enum bird_fault {
	BIRD_FAULT_NONE,     /* BIRD has no reason yet */
	BIRD_FAULT_HERE,     /* this BIRD could not */
	BIRD_FAULT_SOCKET,   /* the kernel, of this end's TCP connection */
	BIRD_FAULT_RECEIVED, /* a notification of the peer's */
	BIRD_FAULT_SENT,     /* a notification of ours */
	BIRD_FAULT_LIMIT,    /* a limit that was reached */
	BIRD_FAULTS
};

/* How far a session that is not up has come. */
enum bird_phase {
	BIRD_ENDED,    /* BIRD does not try */
	BIRD_CONNECTS, /* tries to connect, or waits for the next attempt */
	BIRD_WAITS,    /* for the peer to connect */
	BIRD_SPEAKS,   /* connected; the peer has not answered to the end */
};

#define BIRD_SESSION_NAME 72 /* bytes of a protocol's name, at most 64 long in BIRD */
#define BIRD_REASON 64

struct bird_session {
	char name[BIRD_SESSION_NAME];
	bool bgp; /* else another protocol of ours: its phase is BIRD_ENDED while it is not up */
	bool up;
	enum bird_phase phase;
	enum bird_fault fault; /* the last one since it went down */
	char reason[BIRD_REASON];
	int64_t since_ms; /* boot time: when it was first seen down; 0: it is up */
	int64_t since_s;  /* the same by the wall clock, seconds */
};

struct bird_sessions {		  /* zeroed: none */
	struct bird_session *all; /* sorted by name */
	size_t n;
};
void bird_sessions_done(struct bird_sessions *s);

/* The answer to `show protocols "roost_*"`. true: it says something else than the one before. */
bool bird_sessions_take(
	struct bird_sessions *s, const char *reply, int64_t now_ms, int64_t now_wall_s);

/* NULL: BIRD has no protocol of that name. */
const struct bird_session *bird_sessions_find(
	const struct bird_session *sorted, size_t n, const char *name);

/* Whether BIRD has given it up for a reason that may be over, and waits to be told to try again. */
bool bird_sessions_is_given_up(const struct bird_session *s);

/* BIRD's own words: "Received: Bad peer AS"; without a reason what it is doing: "Connect". */
void bird_sessions_words(const struct bird_session *s, char *out, size_t size);
