/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The cluster store: versioned JSON documents, each under a key, each written by itself and compared with
 * what was read. Two drivers behave alike: "file:PATH" (embedded, LMDB in a folder, several
 * processes of one machine) and "etcd:URL[,URL...]" (etcd v3 through its JSON gateway). Only
 * these comparisons decide anything; there are no locks, no leases, and nothing spans two documents.
 *
 * A store never blocks its owner unless asked to: requests are started, one descriptor (store_fd())
 * says when something happened, store_next() hands it out. store_get(), store_list() and
 * store_write() wait, for tools. docs/STORE.md has the contract.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define STORE_KEY_MAX 512	/* bytes with the NUL: printable ASCII without white space */
#define STORE_VALUE_MAX 1048576 /* bytes; what is larger in the store is reported, not handed out */

struct store;

/* Strings are copied. Files are read when needed, so that renewed certificates are seen. */
struct store_options {
	const char *url;		  /* "file:/var/lib/roost/store" */
	const char *prefix;		  /* of every key in etcd; NULL: "/roost/" */
	const char *ca_file;		  /* PEM; NULL: the system's */
	const char *cert_file, *key_file; /* client certificate, PEM; NULL: none */
	const char *user;		  /* NULL: none */
	const char *password_file;	  /* its first line */
	const char *server;		  /* "kube:": the API server; NULL: the kubeconfig's */
	const char *pools_file;		  /* "kube-podcidr:": an array of IPPools, JSON */
	unsigned int timeout_ms;	  /* of one request; 0: 2000, "kube:" 5000 */
	unsigned int wait_ms;		  /* of the waiting forms; 0: five times that */
	bool existing;			  /* "file:": -ENOENT instead of making a store */
};

/* Contacts nobody (etcd), opens or makes the folder (file). -EINVAL: the URL or an option.
 * -EUCLEAN: the file is damaged; it is left as it is. Who only reads, or may have mistyped the
 * URL, asks for an existing store. */
int store_open(struct store **out, const struct store_options *o, struct err *e);
void store_close(struct store *s); /* takes NULL */

/* A URL as it may be shown: clean, and without what stands before a host's "@". Returns out. */
#define STORE_SHOWN 304
char *store_show_url(const char *url, char out[STORE_SHOWN]);

/* Whether s can be a key. */
bool store_is_key(const char *s);

/* A document as it shall be, if it still is what was read. Borrowed until the call returns. */
struct store_write {
	const char *key;
	const char *value; /* JSON text; NULL: it is deleted */
	int64_t revision;  /* of its last change, as read; 0: there is none */
};

/* Requests. Each returns an id (never 0) under which store_next() answers.
 * A write ends with one of DONE, CONFLICT, FAILED. When its answer is lost the driver compares the
 * document with what was to be written before it tries again, so values should be unlike anybody
 * else's (a nonce); FAILED with -ETIMEDOUT: the outcome is unknown. Writes that are under way together
 * happen in any order, and one of unknown outcome perhaps later. timeout_ms 0: 10 s.
 * A watch tells what exists under a prefix, then every change, for ever; through restarts of the
 * store and compaction. A list reads afresh and ends with CURRENT or FAILED. A get reads afresh: PUT, DELETE, FAILED (also when it is out of reach). */
uint64_t store_start_write(struct store *s, const struct store_write *w, unsigned int timeout_ms);
uint64_t store_start_watch(struct store *s, const char *prefix);
uint64_t store_start_list(struct store *s, const char *prefix);
uint64_t store_start_get(struct store *s, const char *key);

enum store_event_kind {
	STORE_DONE,	/* write: revision */
	STORE_CONFLICT, /* write: the document is another one; nothing was changed */
	STORE_FAILED,	/* error and what; nothing is known to have been changed */
	STORE_RESTART,	/* watch: a complete list begins, the first one, too; until STORE_CURRENT
			 * what was told before may be gone */
	STORE_PUT,	/* watch, get: this document exists; told again when it changes (changes
			 * in quick succession perhaps once), perhaps without a change */
	STORE_DELETE,	/* watch, get: key is gone */
	STORE_CURRENT,	/* watch: the list is complete; what it did not tell is gone */
};
struct store_event {
	uint64_t id; /* of the request */
	enum store_event_kind kind;
	int64_t revision; /* PUT: of the document. DONE: of what was written. RESTART: of the list */
	uint64_t store_id; /* RESTART: which store it is (etcd: the cluster's id); 0: not known */
	/* Valid until the next call of anything. PUT, DELETE: without the prefix. */
	const char *key;
	const char *value; /* PUT: anybody's text, terminated; NULL: too large, or no text */
	int error;	   /* FAILED: -errno. -ECONNREFUSED, -EACCES: surely not done */
	const char *what;  /* FAILED: the sentence */
};

int store_fd(const struct store *s);			   /* readable: call store_next() */
bool store_next(struct store *s, struct store_event *out); /* false: nothing now. Never waits */

/* Why the store cannot be used at the moment, and since when (seconds, boot time; may be NULL); NULL: it can.
 * Borrowed until the next call. */
const char *store_trouble(const struct store *s, int64_t *since_s);

/* The waiting forms. Events of other requests stay for store_next(). -ETIMEDOUT, -ECONNREFUSED,
 * -EACCES (unauthorised). store_get(): 1, or 0 when there is none. store_write(): 1, or 0 when
 * the document is another one. store_list() leaves out what is too large. The caller frees. */
struct store_doc {
	char *key;
	char *value;
	int64_t revision;
};
int store_get(struct store *s, const char *key, struct store_doc *out, struct err *e);
int store_list(
	struct store *s, const char *prefix, struct store_doc **out, size_t *count, struct err *e);
int store_write(struct store *s, const struct store_write *w, struct err *e);
void store_docs_free(struct store_doc *docs, size_t count); /* takes NULL */
