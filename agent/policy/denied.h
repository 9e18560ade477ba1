/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Denied packets, as the kernel tells of them (NFLOG, rate-limited there), made lines for people:
 * "denied in: ns/a 10.0.1.5:40000 -> ns/b 10.0.1.6:5432 TCP, isolated by NetworkPolicy ns/x". The same peers,
 * port and reason are told once in a while, with how many there were since.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/text.h"
#include "policy/ruleset.h"

struct policy_denied_packet {
	char prefix[POLICY_LOG_PREFIX]; /* of the rule (policy/ruleset.h) */
	struct addr source, destination;
	uint8_t proto;
	uint16_t sport, dport; /* host order; 0 where the protocol has none */
	int16_t icmp_type, icmp_code;
	bool is_news;	 /* to be told of in a line */
	uint64_t before; /* like it, that were not news */
};

struct policy_denied;
int policy_denied_open(uint16_t group, struct policy_denied **out, struct err *e);
void policy_denied_close(struct policy_denied *d); /* takes NULL */
int policy_denied_fd(const struct policy_denied *d);

/* The next packet: 1; 0: there is none now. Never waits. */
int policy_denied_next(
	struct policy_denied *d, int64_t now_ms, struct policy_denied_packet *out, struct err *e);

/* Takes an IP packet apart, of which there may be the beginning alone; fills in all but prefix and before. false: it
 * is none. The bytes are a stranger's. */
bool policy_denied_read(const uint8_t *packet, size_t n, struct policy_denied_packet *out);

/* The same of packets that are alike: all but the source's port. */
struct hash policy_denied_key(const struct policy_denied_packet *p);

/* The line. who: names of the two ends, as "ns/pod" ("": not known). why: what the counter in the prefix
 * is of (policy_compiler_explain_counter(); "": not known). */
void policy_denied_describe(const struct policy_denied_packet *p, const char *const who[2],
	const char *why, struct text *out);
