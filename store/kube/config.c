/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kubeconfig (client-go: tools/clientcmd/api/v1) and a pod's service account. Of a kubeconfig the
 * current context counts, or the only one there is. What we cannot do is refused by name and not
 * passed over: plugins and providers that would have to be run for a token, proxies, impersonation,
 * and servers whose certificate nobody checks. A token is sent over TLS, or to this machine only.
 *
 * Unknown keys are passed over, as every client of Kubernetes does. Relative names of files count
 * from the folder of the kubeconfig.
 */
#include "store/kube/config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base64.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/yaml.h"
#include "store/http.h"

#define SHOWN 80 /* bytes of a stranger's text that an error repeats */

static void source_done(struct kube_source *s)
{
	if (s->bytes)
		explicit_bzero(s->bytes, s->len);
	free(s->file);
	free(s->bytes);
	*s = (struct kube_source){0};
}

void kube_config_done(struct kube_config *c)
{
	free(c->server);
	free(c->path);
	free(c->tls_server_name);
	free(c->namespace_);
	source_done(&c->ca);
	source_done(&c->cert);
	source_done(&c->key);
	source_done(&c->token);
	*c = (struct kube_config){0};
}

/* ---- the server ---- */

static bool is_path(const char *s)
{
	for (; *s; s++)
		if (!text_is_alnum(*s) && !strchr("/-._~", *s))
			return false;
	return true;
}

static bool is_loopback(const char *server)
{
	static const char *const hosts[] = {"http://127.", "http://localhost", "http://[::1]"};
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (strncmp(server, hosts[i], strlen(hosts[i])) == 0)
			return true;
	return false;
}

/* Parts URL into the server and the path behind it. */
static int config_take_server(struct kube_config *c, const char *url, struct err *e)
{
	const char *host = strstr(url, "://");
	const char *path = host ? strchr(host + 3, '/') : NULL;
	CLEANUP_FREE char *server = mem_strdup(url);
	char shown[SHOWN];
	(void)json_clean(shown, sizeof(shown), url);
	if (path)
		server[path - url] = '\0';
	int r = http_check_server(server, "an API server", "", e);
	if (r < 0)
		return r;
	if (path && !is_path(path))
		return err_set(e, EINVAL,
			"\"%s\" is no API server: what follows its host is no path", shown);
	if (strncmp(server, "http://", 7) == 0 && !is_loopback(server))
		return err_set(e, EINVAL,
			"\"%s\" is no API server: it must begin with https://, but on this machine",
			shown);
	free(c->server);
	free(c->path);
	c->server = mem_strdup(server);
	c->path = mem_strdup(path ? path : "");
	for (size_t len = strlen(c->path); len && c->path[len - 1] == '/'; len--)
		c->path[len - 1] = '\0';
	return 0;
}

/* ---- a kubeconfig ---- */

struct reader {
	const char *path;
	struct err *e;
};

static int reader_fail(const struct reader *r, int result)
{
	err_add(r->e, "kubeconfig %s", r->path);
	return result;
}

static const char *clean(const char *s, char out[SHOWN])
{
	(void)json_clean(out, SHOWN, s);
	return out;
}

/* The entry of a list ("users") with that name, and in it the object of the singular ("user"). */
static int find_entry(const struct reader *r, const json_t *doc, const char *list, const char *one,
	const char *name, const json_t **out)
{
	size_t i;
	const json_t *entry = NULL;
	char shown[SHOWN];
	json_array_foreach (json_object_get(doc, list), i, entry) {
		const char *is = json_string_value(json_object_get(entry, "name"));
		if (!is || strcmp(is, name) != 0)
			continue;
		*out = json_object_get(entry, one);
		return json_is_object(*out) ? 0
					    : err_set(r->e, EINVAL, "%s \"%s\" has no %s", list,
						      clean(name, shown), one);
	}
	return err_set(r->e, EINVAL, "there is no \"%s\" under %s", clean(name, shown), list);
}

static int find_context(const struct reader *r, const json_t *doc, const json_t **out)
{
	const char *name = json_string_value(json_object_get(doc, "current-context"));
	const json_t *contexts = json_object_get(doc, "contexts");
	if (name && *name)
		return find_entry(r, doc, "contexts", "context", name, out);
	if (json_array_size(contexts) != 1)
		return err_set(r->e, EINVAL,
			"it has %zu contexts and says none to use: set current-context (kubectl "
			"config "
			"use-context NAME)",
			json_array_size(contexts));
	*out = json_object_get(json_array_get(contexts, 0), "context");
	return json_is_object(*out) ? 0 : err_set(r->e, EINVAL, "its context is no object");
}

static char *file_beside(const char *config, const char *name)
{
	const char *slash = strrchr(config, '/');
	struct text t = {0};
	if (*name != '/' && slash)
		text_add(&t, "%.*s/", (int)(slash - config), config);
	text_add(&t, "%s", name);
	return text_take(&t);
}

static int take_string(
	const struct reader *r, const json_t *from, const char *key, const char **out)
{
	*out = NULL;
	int got = json_get_string(from, "", key, out, r->e);
	if (got > 0 && !**out)
		*out = NULL;
	return got < 0 ? got : 0;
}

/* KEY names a file, KEY-data holds it; the latter counts. */
static int take_source(
	const struct reader *r, const json_t *from, const char *key, struct kube_source *out)
{
	char data_key[64];
	const char *file = NULL, *data = NULL;
	(void)snprintf(data_key, sizeof(data_key), "%s-data", key);
	if (take_string(r, from, key, &file) < 0 || take_string(r, from, data_key, &data) < 0)
		return -EINVAL;
	if (!data) {
		out->file = file ? file_beside(r->path, file) : NULL;
		return 0;
	}
	size_t len = strlen(data);
	out->bytes = mem_new(len + 4, 1);
	ssize_t n = base64_decode(data, len, out->bytes);
	if (n < 0)
		return err_set(r->e, EINVAL, "%s is no base64", data_key);
	out->len = (size_t)n;
	return 0;
}

/* What we do not do. */
static int refuse(
	const struct reader *r, const json_t *from, const char *where, const char *const table[][2])
{
	for (size_t i = 0; table[i][0]; i++) {
		const json_t *value = json_object_get(from, table[i][0]);
		const char *text = json_string_value(value);
		if (!value || json_is_null(value) || json_is_false(value) || (text && !*text))
			continue;
		return err_set(r->e, EINVAL, "%s has %s: %s", where, table[i][0], table[i][1]);
	}
	return 0;
}

static int take_cluster(
	const struct reader *r, const json_t *cluster, const char *server, struct kube_config *out)
{
	static const char *const refused[][2] = {
		{"insecure-skip-tls-verify",
			"roost does not talk to a server that it cannot tell from another: give "
			"certificate-authority-data"},
		{"proxy-url", "roost reaches the API server directly"},
		{NULL, NULL},
	};
	const char *url = NULL, *name = NULL;
	int result = refuse(r, cluster, "its cluster", refused);
	if (result == 0)
		result = take_string(r, cluster, "server", &url);
	if (result == 0)
		result = take_string(r, cluster, "tls-server-name", &name);
	if (result == 0)
		result = take_source(r, cluster, "certificate-authority", &out->ca);
	if (result == 0 && !url && !server)
		result = err_set(r->e, EINVAL, "its cluster has no server");
	if (result == 0 && name && !text_is_dns_name(name))
		result = err_set(r->e, EINVAL, "tls-server-name is no name of a host");
	if (result < 0)
		return result;
	out->tls_server_name = name ? mem_strdup(name) : NULL;
	return config_take_server(out, server ? server : url, r->e);
}

static int take_user(const struct reader *r, const json_t *user, struct kube_config *out)
{
	static const char *const refused[][2] = {
		{"exec", "roost runs no plugin for a token; give it token, tokenFile or a client "
			 "certificate (kubectl create token roostd makes one)"},
		{"auth-provider", "roost knows no providers; give it token, tokenFile or a client "
				  "certificate"},
		{"username", "the API server takes no passwords any more"},
		{"as", "roost acts for nobody else"},
		{"as-uid", "roost acts for nobody else"},
		{NULL, NULL},
	};
	const char *token = NULL, *file = NULL;
	int result = refuse(r, user, "its user", refused);
	if (result == 0)
		result = take_source(r, user, "client-certificate", &out->cert);
	if (result == 0)
		result = take_source(r, user, "client-key", &out->key);
	if (result == 0)
		result = take_string(r, user, "token", &token);
	if (result == 0)
		result = take_string(r, user, "tokenFile", &file);
	if (result < 0)
		return result;
	if (file) /* as client-go: the file counts */
		out->token.file = file_beside(r->path, file);
	else if (token)
		out->token = (struct kube_source){.bytes = mem_strdup(token), .len = strlen(token)};
	bool has_cert = out->cert.file || out->cert.bytes,
	     has_key = out->key.file || out->key.bytes;
	return has_cert == has_key
		       ? 0
		       : err_set(r->e, EINVAL,
				 "its user has a client certificate without its key, or a "
				 "key without its certificate");
}

static int take_context(
	const struct reader *r, const json_t *doc, const char *server, struct kube_config *out)
{
	const json_t *context = NULL, *cluster = NULL, *user = NULL;
	const char *cluster_name = NULL, *user_name = NULL, *namespace_ = NULL;
	int result = find_context(r, doc, &context);
	if (result == 0)
		result = take_string(r, context, "cluster", &cluster_name);
	if (result == 0)
		result = take_string(r, context, "user", &user_name);
	if (result == 0)
		result = take_string(r, context, "namespace", &namespace_);
	if (result < 0)
		return result;
	if (!cluster_name)
		return err_set(r->e, EINVAL, "its context names no cluster");
	result = find_entry(r, doc, "clusters", "cluster", cluster_name, &cluster);
	if (result == 0 && user_name)
		result = find_entry(r, doc, "users", "user", user_name, &user);
	if (result == 0)
		result = take_cluster(r, cluster, server, out);
	if (result == 0)
		result = take_user(r, user, out);
	if (result == 0)
		out->namespace_ = mem_strdup(
			namespace_ && text_is_dns_name(namespace_) ? namespace_ : "default");
	return result;
}

int kube_config_read(const char *path, const char *server, struct kube_config *out, struct err *e)
{
	const struct reader reader = {.path = path, .e = e};
	CLEANUP_FREE char *bytes = NULL;
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct kube_config c = {0};
	struct yaml_file *yaml = NULL;
	size_t len = 0;
	if (fd < 0)
		return err_set(
			e, errno, "cannot open the kubeconfig %s: %s", path, strerror(errno));
	int r = file_read_fd(fd, JSON_MAX_BYTES, &bytes, &len, e);
	if (r == 0)
		r = yaml_parse(bytes, len, &yaml, e);
	if (r == 0 && (yaml_count(yaml) != 1 || !json_is_object(yaml_document(yaml, 0))))
		r = err_set(e, EINVAL, "it must be one YAML document, an object");
	if (r == 0)
		r = take_context(&reader, yaml_document(yaml, 0), server, &c);
	yaml_file_free(yaml);
	if (bytes)
		explicit_bzero(bytes, len);
	if (r < 0) {
		kube_config_done(&c);
		return reader_fail(&reader, r);
	}
	*out = c;
	return 0;
}

/* ---- a pod's service account ---- */

static char *account_file(const char *folder, const char *name)
{
	struct text t = {0};
	text_add(&t, "%s/%s", folder, name);
	return text_take(&t);
}

static char *account_namespace(const char *folder)
{
	CLEANUP_FREE char *path = account_file(folder, "namespace");
	CLEANUP_FREE char *bytes = NULL;
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct err ignored;
	size_t len = 0;
	if (fd < 0 || file_read_fd(fd, TEXT_DNS_NAME, &bytes, &len, &ignored) < 0)
		return mem_strdup("default");
	bytes[strcspn(bytes, "\n")] = '\0';
	return mem_strdup(text_is_dns_name(bytes) ? bytes : "default");
}

int kube_config_account(
	const char *folder, const char *server, struct kube_config *out, struct err *e)
{
	struct kube_config c = {0};
	CLEANUP_FREE char *token = account_file(folder, "token");
	if (access(token, R_OK) < 0)
		return err_set(e, EINVAL,
			"there is no service account of a pod: %s: %s (outside of a pod, name a "
			"kubeconfig)",
			token, strerror(errno));
	if (!server)
		return err_set(e, EINVAL,
			"the API server is not known: KUBERNETES_SERVICE_HOST is not in the "
			"environment, and no other address is given");
	int r = config_take_server(&c, server, e);
	if (r < 0) {
		kube_config_done(&c);
		return r;
	}
	c.namespace_ = account_namespace(folder);
	c.token.file = mem_strdup(token);
	c.ca.file = account_file(folder, "ca.crt");
	*out = c;
	return 0;
}
