/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a manifest goes into the store. The rest is what other systems wrote into their exports:
 * it would be wrong here (a uid of another object), or change with every export, so that nothing
 * would ever be unchanged. But a pool has the time at which it was made, as its age decides between pools
 * that overlap (cluster/pools.h).
 *
 * A Node has two writers, people and its agent, and one document. Each field has one owner; apply
 * replaces what people own as with any other kind, and leaves alone what it does not know better: what
 * the agent found out on the machine, and whether the node is drained, which is an operator's command
 * and no part of a file about labels. So a file that was applied is unchanged until somebody changes it.
 */
#include "cluster/document.h"

#include <string.h>

#include "cluster/resource_impl.h"
#include "cluster/status.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/text.h"

/* A copy without members that are null. Arrays keep their nulls: no field has such a value. */
static json_t *document_copy_without_nulls(const json_t *value)
{
	if (!json_is_object(value))
		return json_deep_copy(value);
	json_t *copy = json_object();
	const char *key;
	json_t *member = NULL;
	json_object_foreach ((json_t *)value, key, member)
		if (!json_is_null(member))
			json_put(copy, key, document_copy_without_nulls(member));
	return copy;
}

static void document_keep(json_t *to, const json_t *from, const char *key)
{
	const json_t *value = json_object_get(from, key);
	if (value && !json_is_null(value))
		json_put(to, key, document_copy_without_nulls(value));
}

static void document_keep_unless_empty(json_t *to, const json_t *from, const char *key)
{
	if (json_object_size(json_object_get(from, key)) > 0)
		document_keep(to, from, key);
}

/* As roost's own group in Kubernetes has it, or as the store does. */
static void document_put_kind(json_t *out, const json_t *doc)
{
	const char *kind = json_string_value(json_object_get(doc, "kind"));
	bool is_node = strcmp(kind, RESOURCE_NODE_IN_KUBERNETES) == 0;
	json_put(out, "kind", json_string(is_node ? resource_kind_text(RESOURCE_NODE) : kind));
}

json_t *document_stored(const json_t *doc)
{
	json_t *out = json_object(), *metadata = json_object();
	const json_t *given = json_object_get(doc, "metadata");
	json_put(out, "apiVersion", json_string("projectcalico.org/v3"));
	document_put_kind(out, doc);
	json_put(out, "metadata", metadata);
	document_keep(metadata, given, "name");
	document_keep(metadata, given, "namespace");
	document_keep_unless_empty(metadata, given, "labels");
	document_keep_unless_empty(metadata, given, "annotations");
	(void)json_object_del(json_object_get(metadata, "annotations"), RESOURCE_LAST_APPLIED);
	if (json_object_size(json_object_get(metadata, "annotations")) == 0)
		(void)json_object_del(metadata, "annotations");
	document_keep(out, doc, "spec");
	json_t *spec = json_object_get(out, "spec");
	if (!spec)
		json_put(out, "spec", json_object());
	if (strcmp(json_string_value(json_object_get(out, "kind")), "Node") == 0) {
		(void)json_object_del(spec, "orchRefs");
		(void)json_object_del(spec, "addresses");
	}
	return out;
}

void document_stamp(json_t *doc, const json_t *old)
{
	char id[STATUS_ID];
	json_t *metadata = json_object_get(doc, "metadata");
	if (old) {
		document_keep(metadata, json_object_get(old, "metadata"), "creationTimestamp");
		document_keep(metadata, json_object_get(old, "metadata"), "uid");
		return;
	}
	status_make_id(id);
	json_put(metadata, "creationTimestamp", json_string(TIME_STRING(boot_wall_s())));
	json_put(metadata, "uid", json_string(id));
}

bool document_same(const json_t *a, const json_t *b)
{
	CLEANUP_JSON json_t *x = document_stored(a), *y = document_stored(b);
	return json_equal(x, y);
}

/* ---- Nodes ---- */

static const struct agent_field {
	bool bgp; /* of spec.bgp, else of spec */
	const char *key;
} agent_fields[] = {
	{true, "ipv4Address"},
	{true, "ipv6Address"},
	{true, "ipv4IPIPTunnelAddr"},
	{false, "ipv4VXLANTunnelAddr"},
	{false, "vxlanTunnelMACAddr"},
	{false, "ipv6VXLANTunnelAddr"},
	{false, "vxlanTunnelMACAddrV6"},
};
#define AGENT_FIELDS (sizeof(agent_fields) / sizeof(agent_fields[0]))

static json_t *document_part(const json_t *doc, const struct agent_field *f)
{
	json_t *spec = json_object_get(doc, "spec");
	return f->bgp ? json_object_get(spec, "bgp") : spec;
}

static void document_keep_fields(json_t *out, const json_t *old, bool has_agent)
{
	for (size_t i = 0; i < AGENT_FIELDS; i++) {
		const struct agent_field *f = &agent_fields[i];
		json_t *part = document_part(out, f);
		if (has_agent)
			(void)json_object_del(part, f->key);
		if (!json_object_get(part, f->key))
			document_keep(part, document_part(old, f), f->key);
	}
}

void document_name_label(const char *name, char out[RESOURCE_LABEL])
{
	(void)text_copy(out, RESOURCE_LABEL, name);
	for (size_t len = strlen(out); len && strchr("-.", out[len - 1]); len--)
		out[len - 1] = '\0';
}

static const char *document_label(const json_t *doc, const char *key)
{
	const json_t *metadata = json_object_get(doc, "metadata");
	return json_string_value(json_object_get(json_object_get(metadata, "labels"), key));
}

/* Another value of the label is people's: it goes when the file no longer has it. */
static void document_keep_label(json_t *out, const json_t *old)
{
	char value[RESOURCE_LABEL];
	json_t *metadata = json_object_get(out, "metadata");
	const char *is = document_label(old, DOCUMENT_NAME_LABEL);
	document_name_label(json_string_value(json_object_get(metadata, "name")), value);
	if (!is || strcmp(is, value) != 0 || document_label(out, DOCUMENT_NAME_LABEL))
		return;
	if (!json_object_get(metadata, "labels"))
		json_put(metadata, "labels", json_object());
	json_put(json_object_get(metadata, "labels"), DOCUMENT_NAME_LABEL, json_string(value));
}

json_t *document_merge_node(const json_t *old, const json_t *given, bool has_agent)
{
	json_t *out = json_deep_copy(given);
	json_t *spec = json_object_get(out, "spec"), *old_spec = json_object_get(old, "spec");
	if (!json_object_get(spec, "bgp"))
		json_put(spec, "bgp", json_object());
	document_keep_fields(out, old, has_agent);
	/* An agent that has no address leaves an empty object. */
	if (json_object_size(json_object_get(spec, "bgp")) == 0 &&
		!json_object_get(old_spec, "bgp"))
		(void)json_object_del(spec, "bgp");
	document_keep_label(out, old);
	if (!json_object_get(spec, "drain"))
		document_keep(spec, old_spec, "drain");
	if (json_is_false(json_object_get(spec, "drain"))) /* as node undrain leaves it */
		(void)json_object_del(spec, "drain");
	return out;
}

void document_list_refused(const json_t *given, const json_t *merged, struct text *t)
{
	for (size_t i = 0; i < AGENT_FIELDS; i++) {
		const struct agent_field *f = &agent_fields[i];
		const json_t *value = json_object_get(document_part(given, f), f->key);
		if (value && !json_equal(value, json_object_get(document_part(merged, f), f->key)))
			text_add(
				t, "%sspec.%s%s", t->len ? ", " : "", f->bgp ? "bgp." : "", f->key);
	}
}

/* ---- Passwords ---- */

static const json_t *document_password(const json_t *doc, const char *key)
{
	const json_t *value = json_object_get(json_object_get(doc, "spec"), key);
	return value && !json_is_null(value) ? value : NULL;
}

json_t *document_hide(const json_t *doc, const json_t *before)
{
	json_t *out = json_deep_copy(doc), *spec = json_object_get(out, "spec"), *value = NULL;
	const char *key;
	/* It repeats the whole manifest. */
	(void)json_object_del(json_object_get(json_object_get(out, "metadata"), "annotations"),
		RESOURCE_LAST_APPLIED);
	json_object_foreach (spec, key, value) {
		if (!resource_is_password(key) || json_is_null(value))
			continue;
		const json_t *old = document_password(before, key);
		bool another = old && !json_equal(old, document_password(doc, key));
		json_t *hidden = json_object();
		json_put(hidden, FIELDS_HIDDEN, another ? json_string("another one") : json_true());
		json_put(spec, key, hidden); /* of a key that is there: no harm to the loop */
	}
	return out;
}

json_t *document_reveal(const json_t *doc, const json_t *old, const char *stand_in)
{
	json_t *out = json_deep_copy(doc), *spec = json_object_get(out, "spec"), *value = NULL;
	const char *key;
	json_object_foreach (spec, key, value) {
		bool hidden = json_object_get(value, FIELDS_HIDDEN) && json_object_size(value) == 1;
		if (!resource_is_password(key) || !hidden)
			continue;
		const json_t *known = document_password(old, key);
		if (known)
			json_put(spec, key, json_deep_copy(known));
		else if (stand_in)
			json_put(spec, key, json_pack("{s:s}", "text", stand_in));
	}
	return out;
}
