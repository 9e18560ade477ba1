/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a driver of the store is to its front (store/store.c). Internal: nobody else includes it.
 *
 * A driver is asked under the front's ids and answers through next(), in the public events. It
 * never waits. Its descriptor is readable, or its deadline has passed, when next() may have
 * something; the front calls next() until it says false.
 */
#include "store/store.h"

struct store_driver {
	unsigned int timeout_ms; /* of a request, unless the options say something else */

	/* where: what stands behind "file:" and the like. The options are borrowed; prefix is set. */
	int (*open)(void **out, const struct store_options *o, const char *where, struct err *e);
	void (*close)(void *d); /* takes NULL */

	/* Requests. Keys and sizes were checked. fail_fast: a tool waits; an unreachable store is a
	 * failure at once and not only at the deadline (boot time, milliseconds). */
	void (*write)(void *d, uint64_t id, const struct store_write *w, int64_t deadline_ms,
		bool fail_fast);
	/* Answers with PUT, DELETE (there is none) or FAILED. */
	void (*get)(void *d, uint64_t id, const char *key);
	/* once: it reads afresh, ends with CURRENT or FAILED, and fails fast. */
	void (*watch)(void *d, uint64_t id, const char *prefix, bool once);
	void (*cancel)(void *d, uint64_t id); /* an unknown id is fine */

	/* only: events of this request, 0: of any. Others stay. Strings live until the next
	 * call of anything. */
	bool (*next)(void *d, uint64_t only, struct store_event *out);
	int (*fd)(const void *d);
	int64_t (*deadline_ms)(const void *d); /* boot time; INT64_MAX: none */
	const char *(*trouble)(const void *d, int64_t *since_s);
};

extern const struct store_driver store_file_driver;
extern const struct store_driver store_etcd_driver;
extern const struct store_driver store_kube_driver;
extern const struct store_driver store_podcidr_driver;

/* Why something does not work, as store_trouble() tells it. */
struct store_trouble {
	char text[384]; /* empty: none */
	int64_t since_s;
};

/* Keeps the time of the trouble that is there. */
void store_trouble_set(struct store_trouble *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A copy that outlives the caller's, key and value included. */
struct store_write *store_write_copy(const struct store_write *w);
void store_write_free(struct store_write *w); /* takes NULL */
