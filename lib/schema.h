/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * JSON documents of a fixed form. A table says which members an object has, what each of them may be
 * and where it stands in a struct; one reader and one writer go through it, so that what is written
 * is what is read. A member that is absent or null leaves its field alone: the caller puts defaults
 * there first.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/text.h"

#define SCHEMA_PLACE 256 /* bytes of a place: "spec.reservedCIDRs[2]" */

struct schema_at;
struct schema_member;

/* What a value may be. read() puts it into *out, a field of at->m->size bytes; parse() does so with a
 * text ("" when absent). write() gives NULL to leave the member out. A side may be missing. */
struct schema_type {
	int (*read)(const struct schema_at *at, void *out);
	int (*parse)(const struct schema_at *at, const char *text, void *out);
	json_t *(*write)(const struct schema_member *m, const void *in);
};

enum {
	SCHEMA_REQUIRED = 1, /* absent: "X is missing" */
	SCHEMA_ALWAYS = 2,   /* read() and parse() see an absent one, too: value is NULL */
	SCHEMA_EMPTY = 4,    /* "" is as good as absent */
	SCHEMA_CUT = 8,	     /* of a longer list the first ones are taken */
};

struct schema_member {
	const char *key;		/* NULL: the type judges the object as a whole */
	const struct schema_type *type; /* NULL: known, and ignored */
	size_t offset, size;		/* of the field: SCHEMA_AT(); of an element */
	unsigned int flags;
	int family;	  /* AF_INET, AF_INET6: of an address; 0 either */
	int64_t min, max; /* of a number (0, 0: what the field holds); of a list's entries */
	const char *const *words;	/* NULL-terminated: an enum's, or a bool's two */
	const struct schema *schema;	/* of an object */
	const struct schema_member *of; /* an element of a list */
	size_t count;			/* offset of a list's size_t */
	size_t has;			/* SCHEMA_HAS(): a bool that says it is there */
};
#define SCHEMA_AT(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)
#define SCHEMA_POINTER(type, field) .offset = offsetof(type, field) /* an array, a text */
#define SCHEMA_HAS(type, field) (offsetof(type, field) + 1)
#define SCHEMA_READER(function) (&(const struct schema_type){.read = (function)})
#define SCHEMA_PARSER(function) (&(const struct schema_type){.parse = (function)})
#define SCHEMA_ELEMENT(t, bytes, ...)                                                              \
	(&(const struct schema_member){.type = (t), .size = (bytes), __VA_ARGS__})

struct schema {
	const struct schema_member *members; /* read and written in this order */
	size_t n;
};
#define SCHEMA_OF(table)                                                                           \
	{                                                                                          \
		(table), sizeof(table) / sizeof((table)[0])                                        \
	}

/* How a document is read. unknown(): of a member that the table lacks; NULL: it is passed over. */
struct schema_reader {
	int (*unknown)(const struct schema_at *member, const struct schema *s);
	const char *document; /* what errors call it; NULL: "the document" */
	const char *element;  /* "is not", "must be": said of an element of another type */
	char *where;	      /* SCHEMA_PLACE bytes, the place of an error alone; may be NULL */
	struct err *e;
};

/* Where the reader is, and what it sees there. */
struct schema_at {
	const struct schema_reader *reader;
	const struct schema_at *above; /* NULL: the document */
	const char *key;	       /* NULL: an element, or the document */
	size_t index;
	const json_t *value; /* NULL: absent */
	const struct schema_member *m;
};
#define SCHEMA_IN(at, name) (&(const struct schema_at){(at)->reader, (at), (name), 0, NULL, NULL})
struct schema_at schema_element(const struct schema_at *at, size_t i); /* of an array */

/* Reads a document, which must be an object. */
int schema_read_as(
	const struct schema_reader *reader, const struct schema *s, const json_t *doc, void *out);
/* The same of a document of our own programs. Unknown members are passed over. NULL for a text: the store
 * says that it is too large. -EBADMSG. */
int schema_parse(const struct schema *s, const char *text, void *out, struct err *e);
int schema_read(const struct schema *s, const json_t *doc, void *out, struct err *e);
json_t *schema_write(const struct schema *s, const void *in); /* the caller's */
/* For types: reads a value as its member's type, or an object; an error, "PLACE SENTENCE", -errnum. */
int schema_read_value(const struct schema_at *at, void *out);
int schema_read_object(const struct schema_at *at, const struct schema *s, void *out);
int schema_refuse(const struct schema_at *at, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int schema_refuse_type(const struct schema_at *at, const char *wanted);
int schema_get_number(const struct schema_at *at, int64_t min, int64_t max, int64_t *out);
/* For struct schema_reader: "unknown key "X" in PLACE", with those that are known. */
int schema_unknown(const struct schema_at *member, const struct schema *s);
void schema_add_meant(const char *key, const struct schema *s, struct err *e); /* "did you mean" */
void schema_list_keys(const struct schema *s, struct text *t);		       /* " a, b, c" */
void schema_place(const struct schema_at *at, char out[SCHEMA_PLACE]);

extern const struct schema_type schema_text; /* char[]: cleaned and cut, both ways */
extern const struct schema_type schema_bool;
extern const struct schema_type schema_number; /* unsigned of 1, 2, 4 bytes, or int64_t */
extern const struct schema_type schema_count;  /* uint64_t: INT64_MAX stands for "more" */
extern const struct schema_type schema_word;   /* an index of words */
extern const struct schema_type schema_name;   /* char[]: a DNS name */
extern const struct schema_type schema_addr;   /* "": none */
extern const struct schema_type schema_prefix; /* struct cidr without host bits */
extern const struct schema_type schema_mac;    /* "": none, zero */
extern const struct schema_type schema_object;
extern const struct schema_type schema_list; /* in an array of max elements */
extern const struct schema_type schema_heap; /* a list whose array is made: free() it, errors too */
