/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What every command prints with: text made safe for a terminal, numbers of IPv6's size, owners as
 * a phrase, JSON documents, errors. Results go to stdout, errors and remarks to stderr.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/owner.h"
#include "ipam/pool.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/owned.h"
#include "lib/text.h"

/* As text_clean(), and also what is no UTF-8 or changes the direction or line of the
 * text becomes '?'. */
void output_clean(char *dst, size_t size, const char *src);

/* Each of these returns out; its macro is that text as an expression, which lives as long as the
 * block that it stands in. */

/* "64", "2^80" and the like: powers of two beyond a million, "~2^48" near one, "2^64+" saturated. */
#define OUTPUT_NUMBER 24
char *output_number(uint64_t v, char out[OUTPUT_NUMBER]);
#define NUMBER_STRING(v) output_number((v), (char[OUTPUT_NUMBER]){0})

/* n of the addresses of a prefix, of which it has size. An IPv6 prefix may have more than a number
 * holds; its length says how many. */
char *output_addresses(const struct cidr *c, uint64_t n, uint64_t size, char out[OUTPUT_NUMBER]);
#define ADDRESSES_STRING(c, n, size) output_addresses((c), (n), (size), (char[OUTPUT_NUMBER]){0})

/* "3 of 1024 /26": blocks of a pool that are there, and how many there can be. */
#define OUTPUT_BLOCKS 64
char *output_blocks(uint64_t n, const struct pool *p, char out[OUTPUT_BLOCKS]);
#define BLOCKS_STRING(n, pool) output_blocks((n), (pool), (char[OUTPUT_BLOCKS]){0})

/* "4.7%", "<0.1%", "0%", "100%" only when all of it. */
char *output_percent(uint64_t part, uint64_t whole, char out[OUTPUT_NUMBER]);
#define PERCENT_STRING(part, whole) output_percent((part), (whole), (char[OUTPUT_NUMBER]){0})

/* "pod default/web (network lan, container 0123456789ab, eth0)", clean. */
#define OUTPUT_OWNER 400
char *output_owner(const struct owner *o, char out[OUTPUT_OWNER]);
char *output_label(const struct owned_label *l, char out[OUTPUT_OWNER]);
#define OWNER_STRING(o) output_owner((o), (char[OUTPUT_OWNER]){0})

/* "default/web", as far as they are known. */
void output_add_pod(struct text *t, const struct owner *o);

/* "1 block", "2 blocks". */
#define OUTPUT_COUNT 64
char *output_count(uint64_t n, const char *one, const char *many, char out[OUTPUT_COUNT]);
#define COUNT_STRING(n, one, many) output_count((n), (one), (many), (char[OUTPUT_COUNT]){0})

/* How many addresses are in which state, of anything that has members of these names: as cells of a
 * table_row(), and as members of a document. */
#define COUNT_CELLS(x)                                                                             \
	NUMBER_STRING((x)->used), NUMBER_STRING((x)->cooling), NUMBER_STRING((x)->reserved),       \
		NUMBER_STRING((x)->quarantined)
#define OUTPUT_PUT_COUNTS(object, x)                                                               \
	output_put_counts((object), (const uint64_t[]){(x)->used, (x)->cooling, (x)->reserved,     \
					    (x)->quarantined, (x)->free})
void output_put_counts(json_t *object, const uint64_t counts[5]);

/* "3 used, 1 cooling": one more part of such a list; nothing for 0. */
void output_add_part(struct text *t, uint64_t n, const char *what);

/* A line of a description on stdout, name and value, clean; none for NULL and "". */
void output_line(const char *name, const char *value);

/* Prints the document on stdout as ASCII, control characters escaped, and gives it back. */
void output_json(json_t *owned);

/* "roostctl: sentence", and the details on a line of their own. Return 1, the exit status. */
int output_error(const struct err *e);
int output_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Of wrong usage, in one line: what is wrong, and where to look, which is the help of the command
 * (NULL: of all). Returns 2. */
int output_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
