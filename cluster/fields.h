/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reading the fields of a resource: typed, bounded, each error with its place. What a getter lets
 * through is of a known alphabet. Used by cluster/resource*.c alone.
 *
 * A getter gives 1 and sets *out, or 0 when the field is absent or null (*out stays), or -EBADMSG
 * (wrong type), -EINVAL (impossible value).
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/resource.h"
#include "lib/addr.h"
#include "lib/err.h"

struct fields {
	const json_t *object;	   /* NULL: nothing is present */
	char path[RESOURCE_WHERE]; /* of the object: "spec.bgp"; "" the document */
	char *where;		   /* RESOURCE_WHERE bytes; set on error */
	struct err *e;
};

/* The sentence begins with the place: fields_refuse(f, "cidr", EINVAL, "is missing"). */
int fields_refuse(const struct fields *f, const char *key, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* "metadata.name is NAME, WHAT" */
int fields_refuse_name(const struct fields *f, const char *name, const char *what);

/* Refuses the first field that is not in the NULL-terminated list. */
int fields_check(const struct fields *f, const char *const known[]);

/* The object in a field, or an element of an array. out->object is NULL when absent. */
int fields_object(const struct fields *f, const char *key, struct fields *out);
int fields_element(
	const struct fields *f, const char *key, size_t i, const json_t *value, struct fields *out);

int fields_string(const struct fields *f, const char *key, const char **out);
int fields_bool(const struct fields *f, const char *key, bool *out);
int fields_number(const struct fields *f, const char *key, int64_t min, int64_t max, int64_t *out);

/* An array of max elements at most. */
int fields_array(const struct fields *f, const char *key, size_t max, json_t **out);
/* Element i of the array in a field, which must be a string. */
int fields_string_at(
	const struct fields *f, const char *key, size_t i, const json_t *array, const char **out);

/* One of n words; *out is its index. */
int fields_word(
	const struct fields *f, const char *key, const char *const words[], size_t n, size_t *out);
/* A field that may be there with this very value (or empty) only: what we do anyway. */
int fields_only(const struct fields *f, const char *key, const char *word);
int fields_only_empty(const struct fields *f, const char *key); /* an array without elements */
int fields_only_bool(const struct fields *f, const char *key, bool value);

int fields_name(const struct fields *f, const char *key, char out[RESOURCE_NAME]);
int fields_selector(const struct fields *f, const char *key, char out[RESOURCE_SELECTOR]);
int fields_as_number(const struct fields *f, const char *key, uint32_t *out);
/* "120s", "2m", "1h30m" as seconds. */
int fields_seconds(
	const struct fields *f, const char *key, uint32_t min, uint32_t max, uint32_t *out);
/* {"text": "..."} */
int fields_password(const struct fields *f, const char *key, char out[RESOURCE_PASSWORD]);

/* family: AF_INET, AF_INET6, 0 either. Addresses are those of one host. */
int fields_addr(const struct fields *f, const char *key, int family, struct addr *out);
/* ADDRESS or ADDRESS/LEN, with host bits. */
int fields_host(const struct fields *f, const char *key, int family, struct cidr *out);
/* A prefix without host bits, of either spelling. key may be "reservedCIDRs[2]". */
int fields_parse_prefix(
	const struct fields *f, const char *key, const char *text, int family, struct cidr *out);
int fields_mac(const struct fields *f, const char *key, uint8_t out[6]);
/* Refuses an address that is not one of a host. */
int fields_check_host(const struct fields *f, const char *key, const struct addr *a);
