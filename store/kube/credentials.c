/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials as they are now. A file is known by device, inode, size and the time of its last
 * change; a kubelet replaces a whole folder by renaming a symbolic link, which makes another inode. A
 * file that is gone or no good for the moment leaves what was read before in use: the server
 * decides how long that is taken.
 *
 * A token is looked into (RFC 7519) for one purpose: to say that a clock is wrong. Nobody trusts what
 * it says.
 */
#include "store/kube/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base64.h"
#include "lib/boot.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define PEM_MAX 1048576
#define TOKEN_MAX 16384

struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

/* What a source holds now. */
struct held {
	struct stamp stamp;
	char *bytes; /* NULL: nothing yet */
	size_t len;
};

struct kube_credentials {
	char *path, *folder, *server; /* path NULL: the account in folder */
	struct stamp stamp;	      /* of the kubeconfig */
	struct kube_config config;
	struct held ca, cert, key, token;
	struct err why; /* text empty: nothing is wrong */
};

static struct stamp stamp_of(const char *path)
{
	struct stat st;
	struct stamp s = {0};
	if (path && stat(path, &st) == 0)
		s = (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
	return s;
}

static bool stamp_equals(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void held_done(struct held *h)
{
	if (h->bytes)
		explicit_bzero(h->bytes, h->len);
	free(h->bytes);
	*h = (struct held){0};
}

static void credentials_forget(struct kube_credentials *c)
{
	held_done(&c->ca);
	held_done(&c->cert);
	held_done(&c->key);
	held_done(&c->token);
}

/* ---- files ---- */

static int read_small(const char *path, size_t max, char **out, size_t *len, struct err *e)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
	int r = file_read_fd(fd, max, out, len, e);
	if (r < 0)
		err_add(e, "%s", path);
	return r;
}

/* A token is one line; it becomes a header. */
static int check_token(char *bytes, size_t *len, const char *where, struct err *e)
{
	bytes[strcspn(bytes, "\r\n")] = '\0';
	*len = strlen(bytes);
	for (const char *s = bytes; *s; s++)
		if (*s <= ' ' || *s > '~')
			return err_set(e, EINVAL, "%s holds no token", where);
	return *len ? 0 : err_set(e, EINVAL, "%s holds no token", where);
}

/* 1: it is another than before. */
static int held_look(struct held *h, const struct kube_source *from, bool is_token, struct err *e)
{
	struct stamp now = stamp_of(from->file);
	CLEANUP_FREE char *bytes = NULL;
	size_t len = from->len;
	if (h->bytes && (!from->file || stamp_equals(&now, &h->stamp)))
		return 0;
	if (!from->file && !from->bytes)
		return 0;
	if (from->file) {
		int r = read_small(from->file, is_token ? TOKEN_MAX : PEM_MAX, &bytes, &len, e);
		if (r < 0)
			return r;
	} else {
		bytes = mem_strdup(from->bytes);
	}
	const char *where = from->file ? from->file : "the kubeconfig";
	int r = is_token && bytes ? check_token(bytes, &len, where, e) : 0;
	if (r < 0)
		return r;
	bool same = h->bytes && bytes && len == h->len && memcmp(bytes, h->bytes, len) == 0;
	held_done(h);
	*h = (struct held){.stamp = now, .bytes = bytes, .len = len};
	bytes = NULL;
	return !same;
}

static int credentials_look_config(struct kube_credentials *c)
{
	struct stamp now = stamp_of(c->path);
	struct kube_config fresh = {0};
	if (!c->path || stamp_equals(&now, &c->stamp))
		return 0;
	int r = kube_config_read(c->path, c->server, &fresh, &c->why);
	if (r < 0)
		return r;
	credentials_forget(c);
	kube_config_done(&c->config);
	c->config = fresh;
	c->stamp = now;
	return 1;
}

int kube_credentials_look(struct kube_credentials *c)
{
	const struct {
		struct held *held;
		const struct kube_source *from;
	} table[] = {{&c->ca, &c->config.ca}, {&c->cert, &c->config.cert},
		{&c->key, &c->config.key}, {&c->token, &c->config.token}};
	c->why.text[0] = '\0';
	int changed = credentials_look_config(c) > 0;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		changed |= held_look(table[i].held, table[i].from, table[i].held == &c->token,
				   &c->why) > 0;
	return changed;
}

/* ---- life ---- */

int kube_credentials_open(struct kube_credentials **out, const char *config, const char *folder,
	const char *server, struct err *e)
{
	struct kube_credentials *c = mem_new(1, sizeof(*c));
	c->path = config ? mem_strdup(config) : NULL;
	c->folder = mem_strdup(folder);
	c->server = server ? mem_strdup(server) : NULL;
	c->stamp = stamp_of(config);
	int r = config ? kube_config_read(config, server, &c->config, e)
		       : kube_config_account(folder, server, &c->config, e);
	if (r < 0) {
		kube_credentials_close(c);
		return r;
	}
	(void)kube_credentials_look(c); /* what is wrong is told when it is needed */
	*out = c;
	return 0;
}

void kube_credentials_close(struct kube_credentials *c)
{
	if (!c)
		return;
	credentials_forget(c);
	kube_config_done(&c->config);
	free(c->path);
	free(c->folder);
	free(c->server);
	free(c);
}

const char *kube_credentials_trouble(const struct kube_credentials *c)
{
	return *c->why.text ? c->why.text : NULL;
}

const struct kube_config *kube_credentials_config(const struct kube_credentials *c)
{
	return &c->config;
}

static struct http_pem pem_of(const struct held *h)
{
	return (struct http_pem){.bytes = h->bytes, .len = h->len};
}

struct http_tls kube_credentials_tls(const struct kube_credentials *c)
{
	return (struct http_tls){
		.ca = pem_of(&c->ca), .cert = pem_of(&c->cert), .key = pem_of(&c->key)};
}

const char *kube_credentials_token(const struct kube_credentials *c)
{
	return c->token.bytes;
}

/* ---- who ---- */

/* The claims of a token; NULL when it is not of that kind. */
static json_t *token_claims(const char *token)
{
	const char *from = strchr(token, '.');
	const char *end = from ? strchr(from + 1, '.') : NULL;
	json_t *claims = NULL;
	struct err ignored;
	if (!end)
		return NULL;
	size_t len = (size_t)(end - from - 1);
	CLEANUP_FREE char *text = mem_new(len + 4, 1);
	ssize_t n = base64_decode(from + 1, len, text);
	if (n < 0 || json_parse_secret(text, (size_t)n, &claims, &ignored) < 0)
		return NULL;
	return claims;
}

static void add_token_times(const char *token, struct text *t)
{
	CLEANUP_JSON json_t *claims = token_claims(token);
	struct err ignored;
	int64_t now = boot_wall_s(), from = 0, until = INT64_MAX;
	(void)json_get_number(claims, "", "nbf", 0, INT64_MAX / 2, &from, &ignored);
	(void)json_get_number(claims, "", "exp", 0, INT64_MAX / 2, &until, &ignored);
	if (now < from)
		text_add(t, "; it is valid from %s and this machine's clock says %s",
			TIME_STRING(from), TIME_STRING(now));
	else if (now >= until)
		text_add(t, "; it was valid until %s and this machine's clock says %s",
			TIME_STRING(until), TIME_STRING(now));
}

char *kube_credentials_who(const struct kube_credentials *c, char out[KUBE_WHO])
{
	struct text t = {.buf = out, .size = KUBE_WHO};
	const struct kube_config *config = &c->config;
	out[0] = '\0';
	if (c->token.bytes) {
		if (config->token.file)
			text_add(&t, "the token in %s", config->token.file);
		else
			text_add(&t, "the token in the kubeconfig");
		add_token_times(c->token.bytes, &t);
	} else if (config->cert.file) {
		text_add(&t, "the client certificate in %s", config->cert.file);
	} else if (config->cert.bytes) {
		text_add(&t, "the client certificate in the kubeconfig");
	} else {
		text_add(&t, "a client without token or certificate");
	}
	return out;
}
