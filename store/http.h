/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP for the drivers of the store: requests that never wait, over connections that are kept. One
 * epoll descriptor and one deadline stand for all of them. The only module that knows libcurl.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/text.h"

/* What an answer, or a line of a stream, may be at most (after what string_max left out). */
#define HTTP_ANSWER_MAX (8u << 20)

struct http;

int http_new(struct http **out, struct err *e);
void http_free(struct http *h); /* takes NULL; its calls were freed before */

/* Whether url is http[s]://HOST[:PORT] and nothing else. what: what it should be, "an endpoint of
 * etcd"; hint stands behind the complaint that it has more, may be "". -EINVAL. */
int http_check_server(const char *url, const char *what, const char *hint, struct err *e);

/* PEM; of each either a file, read when a connection is made, or its bytes. All NULL: the system's
 * authorities, no client certificate. */
struct http_pem {
	const char *file;
	const char *bytes;
	size_t len;
};
struct http_tls {
	struct http_pem ca, cert, key;
};

struct http_request {
	const char *method;	    /* NULL: GET, with a body POST */
	const char *url;	    /* whole; its host is whom the certificate must name */
	const char *connect_to;	    /* "HOST:PORT" that is contacted instead; NULL: the URL's */
	const char *const *headers; /* "Name: value", NULL at the end; may be NULL */
	const struct text *body;    /* NULL: none */
	struct http_tls tls;
	unsigned int timeout_ms; /* without a byte of its answer */
	/* The answer is lines without end. The timeout holds for the first of them only; or, with
	 * silence_ms, until its headers came, and from then on each line has that long. */
	bool stream;
	unsigned int silence_ms;
	size_t string_max; /* strings of a JSON answer are cut behind that many bytes (store/sieve.h); 0: never */
};

enum http_call_state {
	HTTP_RUNNING,
	HTTP_ANSWERED,	/* status and body are there; a stream: it ended */
	HTTP_UNSENT,	/* the server has seen nothing of it */
	HTTP_LOST,	/* it may have been carried out */
	HTTP_TOO_LARGE, /* the answer; it was carried out */
};

struct http_call {
	enum http_call_state state;
	bool sent;	       /* the server may have seen it */
	bool timed_out;	       /* UNSENT, LOST: for want of an answer */
	long status;	       /* ANSWERED; of a stream since its first line */
	int64_t retry_after_s; /* ANSWERED: what Retry-After said; 0: nothing */
	struct text body;      /* ANSWERED */
	char why[256];	       /* UNSENT, LOST: what happened */
};

/* All of the request is copied. */
struct http_call *http_start(struct http *h, const struct http_request *r);
void http_call_free(struct http_call *c); /* takes NULL; a running one is broken off */

/* The oldest line of a stream that was not taken, NULL when there is none. Nothing of it moves
 * before http_call_taken(). */
char *http_call_line(struct http_call *c, size_t *len);
void http_call_taken(struct http_call *c);

void http_pump(struct http *h); /* does what can be done now */
int http_fd(const struct http *h);
int64_t http_deadline_ms(const struct http *h); /* boot time; INT64_MAX: none */
