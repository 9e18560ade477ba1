/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The checks of a conformance run: what each is about, what is expected, what was seen. Some are
 * judged from facts alone; the others have a try: packets that one place sends to another.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/conform/cluster.h"
#include "lib/addr.h"

enum conform_verdict { CONFORM_OPEN, CONFORM_OK, CONFORM_FAILED, CONFORM_SKIPPED };

enum conform_kind {
	CONFORM_FACT,	 /* nothing is sent */
	CONFORM_REACH,	 /* the try is to be answered */
	CONFORM_TOO_BIG, /* it is to end with EMSGSIZE; the sending pod's MTU is raised for it */
	CONFORM_ARRIVE,	 /* it is to be heard at the other end, no answer can come */
	CONFORM_REPEL,	 /* it is not to be heard there */
};

struct conform_try {
	size_t from, to;	 /* members */
	size_t from_pod, to_pod; /* or CONFORM_NODE */
	const char *type;	 /* "icmp", "udp", "tcp" */
	struct addr source;	 /* of the place it is sent from, or the pretended one (REPEL) */
	struct addr target;
	uint16_t port;
	uint32_t size; /* 0: the smallest */
	bool df;
	uint32_t raised, link_mtu; /* TOO_BIG: the sending pod's MTU; that of the link on the way */
	struct addr seen_as[2]; /* what the other end may see as the source; family 0: anything */
	bool any_of_node;	/* or any address of the sending node */
	char nonce[40];		/* ARRIVE, REPEL */
};

/* The request "try" to a probe, without its id; the caller's. */
json_t *conform_try_request(const struct conform_try *t, int tries, int timeout_ms);

struct conform_check {
	enum conform_kind kind;
	enum conform_verdict verdict;
	const char *group; /* "udp", "route": one word */
	int family;	   /* 4, 6; 0: neither */
	char what[320], expected[200], saw[320];
	char cause[480];    /* of a failure, when it is known */
	bool cause_is_wide; /* it holds for every kind of packet that goes that way */
	bool is_unanswered; /* REACH: nothing came back, at least once */
	struct conform_try t;
};

struct conform_checks {
	struct conform_check *list;
	size_t n, room;
};
void conform_checks_done(struct conform_checks *c);
#define CLEANUP_CONFORM_CHECKS __attribute__((cleanup(conform_checks_done)))

/* One more; the pointer holds until the next one. */
struct conform_check *conform_checks_add(
	struct conform_checks *c, enum conform_kind kind, const char *group, int family);
/* One that is judged at once; expected is set by the caller. */
void conform_check_set(struct conform_check *c, enum conform_verdict v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

struct conform_summary {
	size_t checks, ok, failed, skipped, open;
};
struct conform_summary conform_checks_sum(const struct conform_checks *c);
