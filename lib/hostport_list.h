/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of lib/hostport.h: the elements of its maps as values, and lists of them. Nothing here speaks to
 * the kernel.
 */
#include "lib/family.h"
#include "lib/hostport.h"

#define HOSTPORT_KEY 36	 /* bytes that every key fits in */
#define HOSTPORT_DATA 20 /* the same of a value */

enum { ANY4, AT4, HAIRPIN4, ANY6, AT6, HAIRPIN6, SETS };

/* What nf_tables is told of a map or set. */
struct hostport_set {
	const char *name;
	uint32_t key_type, key_len;
	uint32_t data_type, data_len; /* 0: a set */
};
extern const struct hostport_set hostport_sets[SETS];

struct hostport_element {
	uint8_t set;
	uint8_t key[HOSTPORT_KEY], data[HOSTPORT_DATA];
	struct hash owner;
	bool is_owned; /* its comment names an owner */
	char name[64]; /* of the pod, cut */
};

/* ANY4, AT4 or HAIRPIN4 in the family. */
int hostport_set_of(enum family f, int set);

/* Where the fields behind an address begin. */
size_t hostport_addr_room(enum family f);

/* 1; 0: it is no mapping. */
bool hostport_port_of(const struct hostport_element *x, struct port *out);

/* The order of a list: by set, then by key. */
int hostport_compare(const void *a, const void *b);

void hostport_list_add(struct hostport_list *l, const struct hostport_element *x);

/* What shall be there for a pod. */
void hostport_list_wanted(const struct hostport_pod *p, struct hostport_list *out);

/* Whether a sorted list has this element, with this owner and value. */
bool hostport_is_there(const struct hostport_list *l, const struct hostport_element *x);
