/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl node drain and undrain: spec.drain of the Node document. The document has two writers,
 * people and its agent, so it is changed as it was read, every field that is not ours kept, and only
 * if it is still that one; else it is read again. The agent may write it at the same moment for a
 * good reason, so a few rounds are usual and many mean that something is wrong.
 */
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commit.h"
#include "cli/config.h"
#include "cli/inventory.h"
#include "cli/output.h"
#include "cluster/keys.h"
#include "lib/json.h"
#include "lib/text.h"

#define ROUNDS 10

/* 1: doc was changed, 0: it is so already. */
static int drain_change(json_t *doc, bool drain, struct err *e)
{
	json_t *spec = json_object_get(doc, "spec");
	if (!json_is_object(doc) || (spec && !json_is_object(spec)))
		return err_set(e, EBADMSG, "the Node document is no object with a spec");
	bool is_set = json_is_true(json_object_get(spec, "drain"));
	if (is_set == drain)
		return 0;
	if (!spec) {
		spec = json_object();
		json_put(doc, "spec", spec);
	}
	if (drain)
		json_put(spec, "drain", json_true());
	else
		(void)json_object_del(spec, "drain");
	return 1;
}

/* 1: changed, 0: it was so already, -EAGAIN: somebody else was faster. */
static int try_once(struct store *s, const char *name, bool drain, struct err *e)
{
	char key[STORE_KEY_MAX];
	CLEANUP_DOC struct store_doc d = {0};
	CLEANUP_JSON json_t *doc = NULL;
	keys_resource(RESOURCE_NODE, name, key);
	int r = config_get(s, key, &d, e);
	if (r == 0)
		r = err_set(e, ENOENT, "there is no node %s", name);
	else if (r > 0 && !d.value)
		r = err_set(e, EBADMSG, "the Node document is too large");
	else if (r > 0)
		r = json_parse_secret(d.value, strlen(d.value), &doc, e);
	if (r >= 0)
		r = drain_change(doc, drain, e);
	if (r <= 0)
		return r;
	r = commit_write(s, key, d.revision, doc, e);
	return r ? r : err_set(e, EAGAIN, "the Node document of %s changes all the time", name);
}

static int set_drain(const struct options *o, bool drain, struct err *e)
{
	CLEANUP_STORE struct store *s = NULL;
	const char *name = o->operands[0];
	if (!text_is_dns_name(name))
		return err_set(e, EINVAL,
			"\"%.60s\" is no name of a node: lower case letters, digits, - and .",
			name);
	int r = config_open_store(o, &s, e);
	if (r < 0)
		return r;
	for (int round = 0; round < ROUNDS; round++) {
		r = try_once(s, name, drain, e);
		if (r == -ENOENT)
			inventory_ask_meant(s, RESOURCE_NODE, name, e);
		if (r != -EAGAIN)
			return r;
	}
	return r;
}

static int drain_or_not(const struct options *o, bool drain)
{
	struct err e = {0};
	int r = set_drain(o, drain, &e);
	if (r < 0)
		return output_error(&e);
	if (o->json) {
		output_json(json_pack("{s:o, s:b, s:b}", "node", json_of_text(o->operands[0]),
			"drain", drain, "changed", r));
	} else if (drain) {
		(void)printf(
			"%s %s: it takes no new pods, and gives back its blocks as they become "
			"empty\n",
			o->operands[0], r ? "drains now" : "was draining already");
	} else {
		(void)printf(
			"%s %s\n", o->operands[0], r ? "takes new pods again" : "was not draining");
	}
	return 0;
}

int nodes_drain(const struct options *o)
{
	return drain_or_not(o, true);
}

int nodes_undrain(const struct options *o)
{
	return drain_or_not(o, false);
}
