/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a manifest goes into the store. The rest is what other systems wrote into their exports:
 * it would be wrong here (a uid of another object), or change with every export, so that nothing
 * would ever be unchanged.
 *
 * A Node has two writers, people and its agent, and one document. Each field has one owner; apply
 * replaces what people own as with any other kind, and leaves alone what it does not know better.
 */
#include "cluster/document.h"

#include <string.h>

#include "cluster/resource_impl.h"
#include "lib/json.h"

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

json_t *document_stored(const json_t *doc)
{
	json_t *out = json_object(), *metadata = json_object();
	const json_t *given = json_object_get(doc, "metadata");
	json_put(out, "apiVersion", json_string("projectcalico.org/v3"));
	document_keep(out, doc, "kind");
	json_put(out, "metadata", metadata);
	document_keep(metadata, given, "name");
	document_keep_unless_empty(metadata, given, "labels");
	document_keep_unless_empty(metadata, given, "annotations");
	(void)json_object_del(json_object_get(metadata, "annotations"), RESOURCE_LAST_APPLIED);
	if (json_object_size(json_object_get(metadata, "annotations")) == 0)
		(void)json_object_del(metadata, "annotations");
	document_keep(out, doc, "spec");
	json_t *spec = json_object_get(out, "spec");
	if (!spec)
		json_put(out, "spec", json_object());
	if (strcmp(json_string_value(json_object_get(doc, "kind")), "Node") == 0) {
		(void)json_object_del(spec, "orchRefs");
		(void)json_object_del(spec, "addresses");
	}
	return out;
}

static void document_keep_absent(json_t *to, const json_t *from, const char *const keys[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!json_object_get(to, keys[i]))
			document_keep(to, from, keys[i]);
}

json_t *document_merge_node(const json_t *old, const json_t *given)
{
	static const char *const bgp_keys[] = {"ipv4Address", "ipv6Address", "ipv4IPIPTunnelAddr"};
	static const char *const spec_keys[] = {"ipv4VXLANTunnelAddr", "vxlanTunnelMACAddr",
		"ipv6VXLANTunnelAddr", "vxlanTunnelMACAddrV6"};
	json_t *out = json_deep_copy(given);
	json_t *spec = json_object_get(out, "spec"), *old_spec = json_object_get(old, "spec");
	const json_t *old_bgp = json_object_get(old_spec, "bgp");
	json_t *bgp = json_object_get(spec, "bgp");
	if (!bgp) {
		bgp = json_object();
		json_put(spec, "bgp", bgp);
	}
	document_keep_absent(bgp, old_bgp, bgp_keys, sizeof(bgp_keys) / sizeof(bgp_keys[0]));
	document_keep_absent(spec, old_spec, spec_keys, sizeof(spec_keys) / sizeof(spec_keys[0]));
	if (json_object_size(bgp) == 0)
		(void)json_object_del(spec, "bgp");
	return out;
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
