/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * JSON documents. Reading what strangers wrote: limits at the door, typed access with errors that
 * name the place, keys that may differ in case. Building our own. Trees are jansson's; getters borrow.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"

#define JSON_MAX_BYTES 1048576 /* 1 MiB */
#define JSON_MAX_NESTING 64

/* Parses one document, with or without a byte order mark. Duplicate keys: the last one wins, as in Go. Trailing bytes are an error.
 * The caller owns *out. -EBADMSG. */
int json_parse(const char *bytes, size_t len, json_t **out, struct err *e);
/* The same with another limit, for answers of servers that hold many documents. */
int json_parse_large(const char *bytes, size_t len, size_t max, json_t **out, struct err *e);
/* As json_parse(), of a document that may hold a password: the error repeats nothing of it. */
int json_parse_secret(const char *bytes, size_t len, json_t **out, struct err *e);

/* Each getter looks a key up in an object; where ("ipam.pools[0]", "" for the top) is for the
 * error. An absent key or null gives 0 and leaves *out alone; present gives 1; a wrong type or
 * range gives -EBADMSG. object may be NULL or null: nothing is present. */
int json_get_string(
	const json_t *object, const char *where, const char *key, const char **out, struct err *e);
int json_get_bool(
	const json_t *object, const char *where, const char *key, bool *out, struct err *e);
int json_get_number(const json_t *object, const char *where, const char *key, int64_t min,
	int64_t max, int64_t *out, struct err *e);
int json_get_object(
	const json_t *object, const char *where, const char *key, json_t **out, struct err *e);
int json_get_array(
	const json_t *object, const char *where, const char *key, json_t **out, struct err *e);

/* A text member of a document that nobody judges; "" when it is absent or no text. Borrowed. */
const char *json_text_at(const json_t *object, const char *key);

/* "a string", "an object"; NULL is "absent". */
const char *json_type_text(const json_t *value);

/* A key without regard to case (Go's encoding/json folds it, so do runtimes); an exact match
 * is preferred. Borrowed. NULL when absent; get: or null. object may be NULL. */
json_t *json_get_folded(const json_t *object, const char *key);
json_t *json_find_folded(const json_t *object, const char *key);

/* -EINVAL naming the first key of object that is not in the NULL-terminated list known. */
int json_check_keys(
	const json_t *object, const char *where, const char *const known[], struct err *e);

/* Building. object gets key, array one more element; both take value over. A value or key that is
 * none (NULL, text that is not UTF-8) ends the process: make texts of strangers by json_of_text(). */
void json_put(json_t *object, const char *key, json_t *value);
void json_append(json_t *array, json_t *value);

/* Values for the two above. A byte that is not UTF-8 becomes '?'; a number beyond INT64_MAX is
 * INT64_MAX; no address (family 0) is "". */
json_t *json_of_text(const char *s);
json_t *json_of_number(uint64_t n);
json_t *json_of_addr(const struct addr *a);
json_t *json_of_cidr(const struct cidr *c);

/* Reads and parses a file of at most JSON_MAX_BYTES; the error names it. The caller owns *out.
 * -ENOENT: there is none; -EBADMSG. */
int json_read_file(const char *path, json_t **out, struct err *e);

/* Compact text on the heap; the caller frees it. */
char *json_text(const json_t *value);

/* As text_clean(), and bytes that are not UTF-8 become '?' too: what comes out can be put into a
 * document (jansson makes no string of anything else). Returns false when cut. */
bool json_clean(char *dst, size_t size, const char *src);
bool json_is_utf8(const char *s);

static inline void json_cleanup(json_t **p)
{
	json_decref(*p);
}
#define CLEANUP_JSON __attribute__((cleanup(json_cleanup)))
