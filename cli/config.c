/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings that roostctl shares with the agent of its machine. They are read from the agent's
 * own file, so that `roostctl get` on a node asks the store that the node uses without being told,
 * with the same certificates. The file is read as the agent reads it, so that both
 * refuse the same mistakes with the same words.
 *
 * A person waits for the store's answer, so a request gets more time than an agent would give it: of
 * three etcd members two may be silent and the third one is still asked. An error says which store
 * was meant, since it may have come from a file that the person does not think of. What lasts is announced (cli/patience.h).
 */
#include "cli/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/patience.h"
#include "cluster/keys.h"
#include "lib/text.h"
#include "store/kube/kube.h"

#define WAIT_MS 20000	  /* for an answer, unless --timeout says something else */
#define REQUEST_MS 4000	  /* of that for one request to one member of etcd */
#define REQUEST_MIN_MS 20 /* whatever --timeout says */

int config_read(const struct options *o, struct config *out, struct err *e)
{
	const char *path = o->config ? o->config : AGENT_CONF_FILE;
	char server[KUBE_SERVER];
	int r = agent_conf_read_file(path, o->config, &out->conf, e);
	if (r < 0)
		return r;
	if (kube_server(o->kube_host, o->kube_port, server))
		(void)text_copy(out->conf.pod_server, sizeof(out->conf.pod_server), server);
	if (o->store && !text_copy(out->conf.store.url, sizeof(out->conf.store.url), o->store))
		return err_set(e, EINVAL, "--store has more than %zu bytes",
			sizeof(out->conf.store.url) - 1);
	r = agent_conf_complete(&out->conf, e);
	if (r < 0) {
		err_add(e, "%.200s", path);
		return r;
	}
	agent_conf_store(&out->conf, &out->store);
	out->socket = o->socket ? o->socket : out->conf.socket;
	return 0;
}

int config_socket(const struct options *o, struct config *c, struct err *e)
{
	c->socket = o->socket;
	int r = o->socket ? 0 : config_read(o, c, e);
	if (r < 0)
		err_details(
			e, "the agent's socket stands in this file; --socket PATH does without it");
	return r;
}

int config_state_dirs(const struct options *o, struct config_dirs *out, struct err *e)
{
	*out = (struct config_dirs){.n = 1, .list = {o->state_dir}};
	if (o->state_dir)
		return 0;
	int r = config_read(o, &out->config, e);
	if (r < 0) {
		err_details(e, "the state folders are those of this file; --state-dir DIR does "
			       "without it");
		return r;
	}
	out->n = out->config.conf.n_state_dirs;
	for (size_t i = 0; i < out->n; i++)
		out->list[i] = out->config.conf.state_dirs[i];
	return 0;
}

/* The driver asks each member twice before it gives up, so that is what the time is divided by. Returns how
 * long that takes at most. */
static unsigned int set_times(const struct options *o, struct store_options *s)
{
	unsigned int requests = 2;
	for (const char *url = s->url; (url = strchr(url, ',')); url++)
		requests += 2;
	s->wait_ms = o->timeout_ms ? o->timeout_ms : WAIT_MS;
	s->timeout_ms = s->wait_ms / requests;
	if (!o->timeout_ms && s->timeout_ms > REQUEST_MS)
		s->timeout_ms = REQUEST_MS;
	if (s->timeout_ms < REQUEST_MIN_MS)
		s->timeout_ms = REQUEST_MIN_MS;
	return s->timeout_ms * requests < s->wait_ms ? s->timeout_ms * requests : s->wait_ms;
}

/* A first question, of whose answer nothing is wanted: whoever does not reach the store hears which one it
 * was, whatever the command. */
static int greet(struct store *s, struct err *e)
{
	CLEANUP_DOC struct store_doc ignored = {0};
	char key[STORE_KEY_MAX];
	keys_resource(RESOURCE_IPPOOL, "default", key);
	int r = config_get(s, key, &ignored, e);
	return r < 0 && r != -EFBIG ? r : 0;
}

static int open_store(const struct options *o, bool may_make, struct store **out, struct err *e)
{
	struct config c;
	int r = config_read(o, &c, e);
	if (r < 0)
		return r;
	char shown[STORE_SHOWN], about[STORE_SHOWN + 32];
	(void)store_show_url(c.store.url, shown);
	unsigned int wait_ms = set_times(o, &c.store);
	c.store.existing = true;
	(void)snprintf(about, sizeof(about), "the store at %s", shown);
	patience_about(about, wait_ms);
	r = store_open(out, &c.store, e);
	if (r == -ENOENT && may_make) {
		c.store.existing = false;
		*e = (struct err){0};
		r = store_open(out, &c.store, e);
		if (r == 0)
			(void)fprintf(
				stderr, "roostctl: there was no store at %s: it was made\n", shown);
	}
	if (r == 0)
		r = greet(*out, e);
	if (r < 0)
		err_details(e, "the store is %.300s (--store, ROOST_STORE, or \"store\" in %.100s)",
			shown, o->config ? o->config : AGENT_CONF_FILE);
	if (r < 0 && *out) {
		store_close(*out);
		*out = NULL;
	}
	return r;
}

int config_open_store(const struct options *o, struct store **out, struct err *e)
{
	return open_store(o, false, out, e);
}

int config_make_store(const struct options *o, struct store **out, struct err *e)
{
	return open_store(o, true, out, e);
}

int config_get(struct store *s, const char *key, struct store_doc *out, struct err *e)
{
	patience_begin();
	int r = store_get(s, key, out, e);
	patience_end();
	return r;
}

int config_list(
	struct store *s, const char *prefix, struct store_doc **out, size_t *count, struct err *e)
{
	patience_begin();
	int r = store_list(s, prefix, out, count, e);
	patience_end();
	return r;
}

int config_write(struct store *s, const struct store_write *w, struct err *e)
{
	patience_begin();
	int r = store_write(s, w, e);
	patience_end();
	return r;
}
