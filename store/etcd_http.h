/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Requests to etcd's gateway: POST, JSON, and a token.
 */
#include "store/http.h"
#include "store/store.h"

/* What they have in common. The timeout is that of a call without a byte of its answer. */
struct etcd_http {
	struct http *http;
	char *ca_file, *cert_file, *key_file;
	unsigned int timeout_ms;
};

/* Copies the options. */
int etcd_http_init(struct etcd_http *out, const struct store_options *o, struct err *e);
void etcd_http_done(struct etcd_http *h); /* its calls were freed before; takes a zeroed one */

/* Whether url is http[s]://HOST[:PORT] and nothing else. -EINVAL. */
int etcd_http_check_url(const char *url, struct err *e);

/* POSTs body to url and path. token (NULL: none) and body are copied. stream: the answer is lines
 * without end; the timeout holds for the first only. */
struct http_call *etcd_http_post(const struct etcd_http *h, const char *url, const char *path,
	const char *token, const struct text *body, bool stream);
