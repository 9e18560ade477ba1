/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A rule set (policy/ruleset.h) in the kernel: the table "inet roost-policy" of the network namespace in which
 * the writer was opened. Each change is one atomic batch of what differs, by names: no packet meets half of
 * one. Whatever else goes wrong (a batch refused, its outcome unknown, the table changed by somebody) ends in one
 * batch more that makes the table as a whole; until then the kernel keeps what it had.
 *
 * What stands in the table beside the rule set, always: the base chains eg and in (hook forward) and host
 * (hook input), the verdict maps of the same names, keyed by
 * interface index, and the counters "pending" and "cut". ADD may put elements into the maps, too.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/boot.h"
#include "lib/err.h"
#include "policy/ruleset.h"

#define POLICY_TABLE "roost-policy"
#define POLICY_LOG_GROUP 8266 /* of NFLOG: where denied packets are told (agent/policy/denied.h) */
#define POLICY_COUNTER_PENDING "pending" /* of pods whose policies are not known yet */
#define POLICY_COUNTER_CUT "cut"	 /* of connections that were cut (agent/policy/cut.h) */
#define POLICY_TUNNEL_PORTS 2

struct policy_writer_settings {
	uint32_t
		cut_mark; /* packets of connections with one of these bits of their mark are dropped; 0: none */
	bool log; /* rules that log do so */
	/* Pods with policies may not speak what this node's tunnels speak, as that would pass by the policies
	 * at the far end: UDP to these ports (0: none), and IP in IP. */
	uint16_t tunnel_ports[POLICY_TUNNEL_PORTS];
	bool ipip;
};

struct policy_writer;
int policy_writer_open(struct policy_writer **out, struct err *e);
void policy_writer_close(struct policy_writer *w); /* takes NULL; the kernel's table stays */

/* From the next sync on. */
void policy_writer_set(struct policy_writer *w, const struct policy_writer_settings *s);

/* Readable: somebody changed something in nf_tables. read takes what came; 1: the kernel's table may be another than
 * was written, so sync now; 0: it is not; an error: it may be, too. */
int policy_writer_fd(const struct policy_writer *w);
int policy_writer_read(struct policy_writer *w, struct err *e);

/* Makes the kernel as the rule set says: 1 changed, 0 it was so. Takes references to what can be shared.
 * A refusal: the kernel holds what it held, and the next call looks at all of it. */
int policy_writer_sync(struct policy_writer *w, const struct policy_ruleset *r, struct err *e);

/* Whether the kernel's table, read just now, is as the rule set said that was written last: 1, 0, or an error. */
int policy_writer_agrees(struct policy_writer *w, struct err *e);

/* Named counters, sorted by name; the caller frees *out. No table: none. */
struct policy_count {
	char name[POLICY_OBJECT_NAME];
	char since[BOOT_TIME_TEXT]; /* when the kernel got it, UTC; "": by an older roostd */
	uint64_t packets, bytes;
};
int policy_writer_counts(
	struct policy_writer *w, struct policy_count **out, size_t *n, struct err *e);

/* For metrics: since it was opened. */
struct policy_writer_numbers {
	uint64_t batches;  /* that changed something */
	uint64_t replaced; /* of them, those that made the whole table */
	uint64_t foreign;  /* times that somebody else had changed the table */
	uint64_t refused;  /* batches that failed */
	int64_t last_us;   /* how long the last batch took */
	bool silent;	   /* this kernel cannot log: nothing is told of denied packets */
};
struct policy_writer_numbers policy_writer_numbers(const struct policy_writer *w);
