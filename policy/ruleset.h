/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the kernel shall hold for the policies of this node's pods, as named objects: made by
 * policy/compile.h, written by agent/policy. A plain value. Whatever has a name that begins with its
 * content's hash is never edited: another content is another name, so that the difference of two rule
 * sets is a difference of names. Only the members of address sets change under a name.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/family.h"
#include "lib/text.h"
#include "policy/elements.h"
#include "policy/rule.h"

/* A test of a rule; all must pass. set: its name. Where the set is of addresses, packets of the other family
 * fail the test, negated or not. */
enum policy_test_kind {
	POLICY_TEST_FAMILY, /* from: AF_INET, AF_INET6 */
	POLICY_TEST_SOURCE, /* the source address is in a set (of addresses or nets) of family */
	POLICY_TEST_DESTINATION,
	POLICY_TEST_PROTO, /* from: IPPROTO_* */
	POLICY_TEST_SPORT, /* from to to, host order; behind a test of the protocol */
	POLICY_TEST_DPORT,
	POLICY_TEST_PROTO_SPORT, /* in a set of ports; negated ones stand behind a test of the protocol */
	POLICY_TEST_PROTO_DPORT,
	POLICY_TEST_ADDR_PROTO_DPORT, /* destination address, protocol and port: a set of addresses and ports */
	POLICY_TEST_ICMP_TYPE, /* from; behind a test of the protocol */
	POLICY_TEST_ICMP_CODE,
	POLICY_TEST_HAIRPIN, /* input and output interface are a pair of a set */
};
struct policy_test {
	enum policy_test_kind kind;
	bool negated;
	enum family family;
	uint16_t from, to;
	char set[POLICY_OBJECT_NAME];
};

enum policy_verdict {	     /* what a rule does behind its tests */
	POLICY_VERDICT_NEXT, /* nothing: it counted or logged */
	POLICY_VERDICT_ACCEPT,
	POLICY_VERDICT_DROP,
	POLICY_VERDICT_RETURN,
	POLICY_VERDICT_JUMP,
	POLICY_VERDICT_GOTO,
};

/* What a counter counts, by the first letter of its name. The rest is a hash of the policy's title, or of the way and
 * the titles of those that isolate: so a counter lives as long as they stand here, whatever becomes of their rules.
 * Packets are the first ones of connections, as those that follow meet no rule. */
#define POLICY_COUNTS_ALLOWED 'a' /* by rules of a policy */
#define POLICY_COUNTS_DENIED 'x'  /* the same */
#define POLICY_COUNTS_LOGGED 'l'  /* the same */
#define POLICY_COUNTS_ISOLATED                                                                     \
	'd' /* behind all policies of a tier, as none of their rules matched */

#define POLICY_TESTS 20	      /* of one rule */
#define POLICY_LOG_PREFIX 100 /* bytes with NUL; the kernel takes 127 */
struct policy_chain_rule {
	const struct policy_test *tests;
	size_t n_tests;
	char counter[POLICY_OBJECT_NAME]; /* a named counter; "": none */
	char log[POLICY_LOG_PREFIX]; /* to the agent's log group, rate-limited, with this prefix; "": no */
	enum policy_verdict verdict;
	char chain[POLICY_OBJECT_NAME]; /* of jump and goto */
};
struct policy_body { /* what rules and tests of one chain stand in: as elements, shared and never changed */
	unsigned int refs;
	size_t n;
	struct policy_chain_rule *rules;
	struct policy_test *tests; /* of all rules */
};
struct policy_body *policy_body_new(size_t n_rules, size_t n_tests); /* zeroed; one reference */
struct policy_body *policy_body_ref(struct policy_body *b);
void policy_body_unref(struct policy_body *b); /* takes NULL */

struct policy_chain {
	char name[POLICY_OBJECT_NAME];
	const struct policy_chain_rule *rules; /* of the body */
	size_t n;
	struct policy_body *body; /* a reference; NULL: rules are somebody else's */
};

/* The ways of packets of a pod's host end. */
enum policy_way { POLICY_WAY_IN, POLICY_WAY_OUT, POLICY_WAY_TO_HOST, POLICY_WAYS };

/* Where packets of a pod's host end go. Chains: "" accepts at once. */
struct policy_dispatch {
	int link; /* interface index: indexes are not used again, names are */
	char egress[POLICY_OBJECT_NAME];  /* what comes out of the pod, forwarded */
	char ingress[POLICY_OBJECT_NAME]; /* what goes to it, forwarded */
	char to_host
		[POLICY_OBJECT_NAME]; /* what comes out of the pod for this node's own sockets */
};

/* Staged: chains for a pod of this node that has no link yet, by its uid. */
struct policy_staged {
	char uid[64];
	char egress[POLICY_OBJECT_NAME], ingress[POLICY_OBJECT_NAME], to_host[POLICY_OBJECT_NAME];
};

struct policy_ruleset { /* every array is sorted by its first member; zeroed: nothing is enforced */
	struct policy_set *sets;
	struct policy_chain *chains;
	struct policy_dispatch *dispatch;
	struct policy_staged *staged;
	char (*counters)[POLICY_OBJECT_NAME];
	size_t n_sets, n_chains, n_dispatch, n_staged, n_counters;
	bool is_used; /* some policy selects, or may select, a pod of this node: else no table stands */
};
void policy_ruleset_done(struct policy_ruleset *r);

/* For golden tests and people: a line for each object, element and rule. */
void policy_ruleset_describe(const struct policy_ruleset *r, struct text *out);
