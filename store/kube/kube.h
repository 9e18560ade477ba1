/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A client of a Kubernetes API server that never waits: requests, and lists with watches. The driver
 * "kube:" of the cluster store stands on it; the agent uses it for what is Kubernetes' own (nodes,
 * pods, services). Credentials are read again when their files change and after a 401. Objects are
 * JSON. docs/KUBERNETES.md says which requests roost makes.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct kube;

/* Strings are copied. */
struct kube_options {
	const char *config; /* a kubeconfig; NULL or "": the pod's service account */
	const char *folder; /* of the account; NULL: where a kubelet mounts it */
	/* "https://10.0.0.1:6443" instead of the one said there; NULL: that. An account says none:
	 * main makes it of the environment by kube_server(). */
	const char *server;
	unsigned int timeout_ms; /* of a request without a byte of its answer; 0: 5000 */
};

/* "https://HOST:PORT" of KUBERNETES_SERVICE_HOST and _PORT; NULL when host or port is none. */
#define KUBE_SERVER 320
const char *kube_server(const char *host, const char *port, char out[KUBE_SERVER]);

/* Contacts nobody. -EINVAL: the kubeconfig, or there is no service account. */
int kube_open(struct kube **out, const struct kube_options *o, struct err *e);
void kube_close(struct kube *k); /* takes NULL */

/* Of the service account, or of the kubeconfig's context; "default" when none says. */
const char *kube_namespace(const struct kube *k);

enum kube_method {
	KUBE_GET,
	KUBE_POST,
	KUBE_PUT,
	KUBE_DELETE,	 /* body: DeleteOptions, or NULL */
	KUBE_PATCH,	 /* a JSON merge patch (RFC 7396) */
	KUBE_PATCH_JSON, /* a JSON patch (RFC 6902) */
	KUBE_PATCH_STRATEGIC,
};

/* What a watch tells of. Strings are copied. */
struct kube_selection {
	const char *path;	    /* of the collection: "/api/v1/nodes" */
	const char *field_selector; /* "metadata.name=n1"; NULL: all */
	const char *label_selector; /* NULL: all */
	bool metadata_only;	    /* objects are PartialObjectMetadata: for large collections */
	bool may_lack; /* no such collection (404, again and again): it is told as an empty one */
};

/* Requests. Each returns an id (never 0) under which kube_next() answers. body is borrowed for the
 * call (NULL: none). A request ends with one of ANSWER, FAILED. It is tried again, until its deadline,
 * only while it surely was not carried out: not sent, or answered 429 or 503 with Retry-After.
 * GETs are tried again after any failure. timeout_ms 0: 10 s. A watch tells what exists, then every change, for ever. */
uint64_t kube_start_request(struct kube *k, enum kube_method method, const char *path,
	const json_t *body, unsigned int timeout_ms);
uint64_t kube_start_watch(struct kube *k, const struct kube_selection *s);
/* What exists, once: RESTART, EXISTS..., and CURRENT or FAILED as the last. Does not wait long for a
 * server that is away. */
uint64_t kube_start_list(struct kube *k, const struct kube_selection *s);
void kube_stop(struct kube *k, uint64_t id); /* what is not there any more is fine */

enum kube_event_kind {
	KUBE_ANSWER,  /* request: status and object */
	KUBE_FAILED,  /* request, list: error and what */
	KUBE_RESTART, /* watch: a complete list begins; until CURRENT what was told may be gone */
	KUBE_EXISTS,  /* watch: this object exists, or changed */
	KUBE_GONE,    /* watch: object as it was last */
	KUBE_CURRENT, /* watch: the list is complete */
};
struct kube_event {
	uint64_t id;
	uint64_t owner; /* internal to the room */
	enum kube_event_kind kind;
	int status;		/* ANSWER: HTTP's; an error's object is a Status */
	const json_t *object;	/* borrowed until the next call of anything; NULL: no JSON */
	const char *name;	/* EXISTS, GONE: metadata.name, a clean text */
	const char *namespace_; /* the same; "" of the cluster */
	int64_t version;	/* EXISTS, GONE: resourceVersion. RESTART, CURRENT: of the list */
	int error;	  /* FAILED: -ECONNREFUSED, -EACCES: surely not done. -ETIMEDOUT: unknown.
			   * A list: -EACCES, -ENOENT: it was refused; there is no such collection */
	const char *what; /* FAILED: the sentence */
};

int kube_fd(const struct kube *k);			/* readable: call kube_next() */
bool kube_next(struct kube *k, struct kube_event *out); /* false: nothing now. Never waits */

/* Why the server cannot be used, or what is forbidden to us (verb and resource), and since when
 * (seconds, boot time; may be NULL); NULL: nothing is wrong. Borrowed until the next call. */
const char *kube_trouble(const struct kube *k, int64_t *since_s);

/* Waits for the answer of one request: for tools. HTTP's status, and *object (the caller's, may be
 * NULL); or -errno. Events of others stay for kube_next(). */
int kube_request(struct kube *k, enum kube_method method, const char *path, const json_t *body,
	json_t **object, struct err *e);
