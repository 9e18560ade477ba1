/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the fields of a resource may be (lib/schema.h), beyond the plain types: each error has its place,
 * and what is let through is of a known alphabet. Used by cluster/resource*.c alone.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/limits.h"
#include "lib/addr.h"
#include "lib/schema.h"

/* Of struct schema_reader: "PLACE is not supported by roost", with the fields that are. */
int fields_unknown(const struct schema_at *member, const struct schema *s);

/* "metadata.name is NAME, WHAT" */
int fields_refuse_name(const struct schema_at *at, const char *name, const char *what);
/* Refuses an address that is not one of a host. */
int fields_check_host(const struct schema_at *at, const struct addr *a);

extern const struct schema_type fields_name;	  /* char[RESOURCE_NAME]: a DNS name, or "" */
extern const struct schema_type fields_selector;  /* char[RESOURCE_SELECTOR] */
extern const struct schema_type fields_as_number; /* uint32_t, from a number or "1.2" */
extern const struct schema_type
	fields_seconds;	       /* uint32_t min to max, from "120s", "2m", "1h30m" */
#define FIELDS_HIDDEN "hidden" /* the member of a password that is not told */
extern const struct schema_type fields_password; /* char[RESOURCE_PASSWORD], from {"text": "..."} */
extern const struct schema_type fields_addr;	 /* of one host, of m->family; "" none */
extern const struct schema_type fields_host;	 /* the same with the length of its subnet or not */
extern const struct schema_type fields_prefix;	 /* struct cidr of m->family without host bits */
extern const struct schema_type fields_list; /* of max entries; what they say is not looked at */
extern const struct schema_type fields_bool; /* either, and not looked at */

/* Members that may be there with one value only, which is what we do anyway: words[0] or "", max as a
 * bool (0 or 1) or as a number, a list without elements. */
#define FIELDS_WORD(word) ((const char *const[]){(word), NULL})
extern const struct schema_type fields_only_word;
extern const struct schema_type fields_only_bool;
extern const struct schema_type fields_only_number;
extern const struct schema_type fields_only_empty;
