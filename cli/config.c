/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings that roostctl shares with the agent of its machine. They are read from the agent's
 * own file, so that `roostctl get` on a node asks the store that the node uses without being told,
 * with the same certificates. The file belongs to root: names and paths in it are trusted, its
 * types are checked, keys that are not ours are left to the agent.
 *
 * A person waits for the store's answer, so a request gets more time than an agent would give it: of
 * three etcd members two may be silent and the third one is still asked. An error says which store
 * was meant, since it may have come from a file that the person does not think of.
 */
#include "cli/config.h"

#include <errno.h>
#include <stdio.h>

#include "lib/json.h"
#include "lib/text.h"

#define REQUEST_MS 4000

static int take_etcd(const json_t *file, struct store_options *s, struct err *e)
{
	json_t *etcd = NULL;
	int r = json_get_object(file, "", "etcd", &etcd, e);
	const struct {
		const char *key;
		const char **out;
	} texts[] = {
		{"prefix", &s->prefix},
		{"caFile", &s->ca_file},
		{"certFile", &s->cert_file},
		{"keyFile", &s->key_file},
		{"user", &s->user},
		{"passwordFile", &s->password_file},
	};
	for (size_t i = 0; r >= 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
		r = json_get_string(etcd, "etcd", texts[i].key, texts[i].out, e);
	return r;
}

static int config_take(struct config *c, struct err *e)
{
	const char *data_dir = CONFIG_DATA_DIR;
	int r = json_get_string(c->file, "", "dataDir", &data_dir, e);
	struct text t = TEXT_ON(c->default_url);
	text_add(&t, "file:%s/store", data_dir);
	c->store.url = c->default_url;
	c->socket = CONFIG_SOCKET;
	if (r >= 0)
		r = json_get_string(c->file, "", "store", &c->store.url, e);
	if (r >= 0)
		r = json_get_string(c->file, "", "socket", &c->socket, e);
	if (r >= 0)
		r = take_etcd(c->file, &c->store, e);
	return r < 0 ? r : 0;
}

int config_read(const struct options *o, struct config *out, struct err *e)
{
	const char *path = o->config ? o->config : CONFIG_FILE;
	*out = (struct config){0};
	int r = json_read_file(path, &out->file, e);
	if (r == -ENOENT && !o->config)
		r = 0;
	if (r < 0)
		return r;
	r = config_take(out, e);
	if (r < 0) {
		err_add(e, "%.200s", path);
		config_done(out);
		return r;
	}
	out->store.url = o->store ? o->store : out->store.url;
	out->socket = o->socket ? o->socket : out->socket;
	return 0;
}

void config_done(struct config *c)
{
	json_decref(c->file);
	*c = (struct config){0};
}

static int open_store(const struct options *o, bool may_make, struct store **out, struct err *e)
{
	CLEANUP_CONFIG struct config c = {0};
	int r = config_read(o, &c, e);
	if (r < 0)
		return r;
	c.store.timeout_ms = REQUEST_MS;
	c.store.existing = true;
	r = store_open(out, &c.store, e);
	if (r == -ENOENT && may_make) {
		c.store.existing = false;
		*e = (struct err){0};
		r = store_open(out, &c.store, e);
		char shown[304];
		(void)json_clean(shown, sizeof(shown), c.store.url);
		if (r == 0)
			(void)fprintf(
				stderr, "roostctl: there was no store at %s: it was made\n", shown);
	}
	if (r < 0)
		err_details(e, "the store is %.300s (--store, ROOST_STORE, or \"store\" in %.100s)",
			c.store.url, o->config ? o->config : CONFIG_FILE);
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
