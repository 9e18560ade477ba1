/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which of many agents does what one of them has to do for the whole cluster: the holder of a Lease of
 * Kubernetes (coordination.k8s.io/v1). Pure: it says which request is next, and is told the answer. It
 * saves work and decides nothing: what its holder does is safe when two believe that they hold it.
 * Only the own boot clock counts; the times in the Lease are for people.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define ELECTION_S INT64_C(120) /* nobody renewed a Lease for so long: it is free */

enum election_verb { ELECTION_WAIT, ELECTION_LOOK, ELECTION_CREATE, ELECTION_REPLACE };

struct election { /* zeroed, then election_init() */
	int64_t transitions, duration_ms;
	int64_t seen_ms;  /* since when it has stood like this before our eyes */
	int64_t asked_ms; /* when the request under way was made; 0: none is */
	int64_t until_ms; /* it is surely ours until then */
	int64_t next_ms;
	enum election_verb asked;
	bool known;
	char version[24]; /* of the Lease as it was seen; "": there is none */
	char acquired[32];
	char name[64];
	char me[320];
	char holder[320]; /* "": nobody, or not known */
};

/* me: unlike anybody else's, and the same after a restart, so that a holder goes on. */
void election_init(struct election *l, const char *name, const char *me);

/* The request that is due now; it counts as made. */
enum election_verb election_next(struct election *l, int64_t now_ms);

/* The object of CREATE and REPLACE. The caller's. */
json_t *election_object(const struct election *l, int64_t wall_s);

/* The object of a replacement by which a holder leaves, so that the next one need not wait, as client-go's
 * ReleaseOnCancel does it; NULL: it is not ours. It is ours no more then. The caller's. */
json_t *election_leave(struct election *l, int64_t now_ms, int64_t wall_s);

/* The answer: HTTP's status and the object; 0 and NULL: no answer came. */
void election_answer(struct election *l, int status, const json_t *object, int64_t now_ms);

/* Whether it is ours, for the next moment. */
bool election_is_won(const struct election *l, int64_t now_ms);
