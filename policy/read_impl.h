/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside policy/read*.c: a policy on its way from a document. Nothing here fails; what is not understood is
 * written down as a problem, and its reader gives it the safe meaning.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/text.h"
#include "policy/rule.h"

#define READ_WHERE 128 /* bytes of a place: "spec.ingress[3].from[12]" */
#define READ_END_NETS 4096

struct reading {
	struct policy *p;
	struct text problems;
	size_t n_problems;
};

/* "WHERE: SENTENCE", cleaned and cut; behind some it only counts. */
void reading_problem(struct reading *r, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Ends the list, and puts it into the policy. */
void reading_finish(struct reading *r);

/* A member that is there and not null; NULL. */
const json_t *read_member(const json_t *object, const char *key);
/* Whether object is one and has known members only; else a problem, which ends with meaning. */
bool read_is_known(struct reading *r, const char *where, const json_t *object,
	const char *const known[], const char *meaning);
/* An array, or NULL and a problem. */
const json_t *read_list(struct reading *r, const char *where, const json_t *value);
bool read_place(char out[READ_WHERE], const char *above, const char *key, int index); /* true */

/* Counted references; false and a problem when it is none. */
bool read_label_selector(struct reading *r, const char *where, const json_t *value,
	struct policy_selector **out, const char *meaning);
bool read_text_selector(struct reading *r, const char *where, const json_t *value,
	struct policy_selector **out, const char *meaning);

/* Prefixes, masked; a bare address is one, too. */
bool read_prefix(const json_t *value, struct cidr *out);
/* A list of at most READ_END_NETS into a heap array; NULL, 0: absent or empty. */
bool read_prefixes(struct reading *r, const char *where, const json_t *value, struct cidr **out,
	size_t *n, const char *meaning);

/* Rules: n of them or the most that count, nothing said in any of them. */
struct policy_rule *read_make_rules(struct reading *r, enum policy_direction d, size_t n);
/* What a rule means that was not understood: allow and log match nothing, deny and pass deny everything. */
void read_fail_closed(struct policy_rule *rule);
/* A rule that was understood but for its ports or peers, of which none is left: it matches nothing. */
void read_match_nothing(struct policy_rule *rule);

/* A name of a port, a number of one. */
bool read_port_name(const char *s, char out[POLICY_PORT_NAME]);
bool read_port_number(const json_t *value, uint16_t *out);

/* The rules of a direction in which a policy may deny: one too many makes the last one deny everything. Returns how
 * many there are in the list. */
typedef void read_rule_fn(struct reading *r, const char *where, enum policy_direction d,
	const json_t *object, struct policy_rule *rule);
size_t read_deciding_rules(
	struct reading *r, enum policy_direction d, const json_t *list, read_rule_fn *read_rule);

/* "Ingress" and "Egress" of a list: the policy is in force in these. */
void read_directions(struct reading *r, const char *where, const json_t *list);

/* The specs of each kind. */
void read_network_spec(struct reading *r, const json_t *spec);
void read_cluster_spec(struct reading *r, const json_t *spec);
void read_calico_spec(struct reading *r, const json_t *spec);
