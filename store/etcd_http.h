/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP to etcd's gateway: POST requests that never wait, over connections that are kept. One epoll
 * descriptor and one deadline stand for all of them. The only module that knows libcurl.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "store/etcd_text.h"
#include "store/store.h"

/* What an answer, or a line of a stream, may be at most after etcd_sieve(). */
#define ETCD_ANSWER_MAX (8u << 20)

struct etcd_http;

/* Copies the options. The timeout is that of a call without a byte of its answer. */
int etcd_http_new(struct etcd_http **out, const struct store_options *o, struct err *e);
void etcd_http_free(struct etcd_http *h); /* takes NULL; its calls were freed before */

/* Whether url is http[s]://HOST[:PORT] and nothing else. -EINVAL. */
int etcd_http_check_url(const char *url, struct err *e);

enum etcd_call_state {
	ETCD_RUNNING,
	ETCD_ANSWERED,	/* status and body are there; a stream: it ended */
	ETCD_UNSENT,	/* the server has seen nothing of it */
	ETCD_LOST,	/* it may have been carried out */
	ETCD_TOO_LARGE, /* the answer; it was carried out */
};

struct etcd_call {
	enum etcd_call_state state;
	bool sent;	  /* the server may have seen it */
	bool timed_out;	  /* UNSENT, LOST: for want of an answer */
	long status;	  /* ANSWERED: HTTP's */
	struct text body; /* ANSWERED */
	char why[256];	  /* UNSENT, LOST: what happened */
};

/* POSTs body to url and path. token (NULL: none) and body are copied. stream: the answer is lines
 * without end; the timeout holds for the first only. */
struct etcd_call *etcd_http_post(struct etcd_http *h, const char *url, const char *path,
	const char *token, const struct text *body, bool stream);
void etcd_call_free(struct etcd_call *c); /* takes NULL; a running one is broken off */

/* The oldest line of a stream that was not taken, NULL when there is none. Nothing of it moves
 * before etcd_call_taken(). */
char *etcd_call_line(struct etcd_call *c, size_t *len);
void etcd_call_taken(struct etcd_call *c);

void etcd_http_pump(struct etcd_http *h); /* does what can be done now */
int etcd_http_fd(const struct etcd_http *h);
int64_t etcd_http_deadline_ms(const struct etcd_http *h); /* boot time; INT64_MAX: none */
