/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How etcd's gateway wants to be asked. Its values are base64 in JSON; strings longer than that of
 * the largest document are cut as they arrive.
 */
#include "store/etcd_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "store/etcd_text.h"

static char *copy_or_null(const char *s)
{
	return s ? mem_strdup(s) : NULL;
}

int etcd_http_init(struct etcd_http *out, const struct store_options *o, struct err *e)
{
	struct http *http;
	int r = http_new(&http, e);
	if (r < 0)
		return r;
	*out = (struct etcd_http){
		.http = http,
		.ca_file = copy_or_null(o->ca_file),
		.cert_file = copy_or_null(o->cert_file),
		.key_file = copy_or_null(o->key_file),
		.timeout_ms = o->timeout_ms,
	};
	return 0;
}

void etcd_http_done(struct etcd_http *h)
{
	http_free(h->http);
	free(h->ca_file);
	free(h->cert_file);
	free(h->key_file);
	*h = (struct etcd_http){0};
}

int etcd_http_check_url(const char *url, struct err *e)
{
	return http_check_server(
		url, "an endpoint of etcd", " (etcd.user and etcd.passwordFile name a user)", e);
}

struct http_call *etcd_http_post(const struct etcd_http *h, const char *url, const char *path,
	const char *token, const struct text *body, bool stream)
{
	char whole[512], authorization[512];
	(void)snprintf(
		whole, sizeof(whole), "%s%s", url, url[strlen(url) - 1] == '/' ? path + 1 : path);
	(void)snprintf(
		authorization, sizeof(authorization), "Authorization: %s", token ? token : "");
	const char *const headers[] = {
		"Content-Type: application/json", token ? authorization : NULL, NULL};
	const struct http_request r = {
		.url = whole,
		.headers = headers,
		.body = body,
		.tls = {.ca.file = h->ca_file, .cert.file = h->cert_file, .key.file = h->key_file},
		.timeout_ms = h->timeout_ms,
		.stream = stream,
		.string_max = ETCD_STRING_MAX,
	};
	return http_start(h->http, &r);
}
