/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NetworkUnavailable is False once pods can start here. It becomes True only when the network of a node
 * that was ready breaks, which keeps new pods away (Kubernetes taints the Node, NoSchedule) and evicts
 * none: pods that run have their routes. It is not the Ready condition: kubelet makes that of the
 * plugin's STATUS, and a Node that is not Ready loses its pods after five minutes.
 *
 * Somebody else's word is replaced when it differs from ours: a cloud's route controller sets the
 * condition to True for a network of its own, which this node does not have.
 */
#include "agent/kube/own_node.h"

#include <stdio.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/text.h"

#define LABELS_MAX 192 /* a Node document of ours may have 256 */
#define KEYS_MAX 12288 /* bytes of their keys, which an annotation remembers */
#define REASON_READY "RoostIsReady"
#define REASON_BROKEN "RoostIsBroken"

static void read_labels(const json_t *labels, struct own_node *out)
{
	const char *key;
	json_t *value;
	size_t bytes = 0;
	out->labels = json_object();
	json_object_foreach ((json_t *)labels, key, value) {
		bytes += strlen(key) + 1;
		if (!json_is_string(value))
			continue;
		if (json_object_size(out->labels) >= LABELS_MAX || bytes > KEYS_MAX)
			out->left_out++;
		else
			json_put(out->labels, key, json_deep_copy(value));
	}
}

static void read_addrs(const json_t *list, struct own_node *out)
{
	size_t i;
	const json_t *one;
	json_array_foreach (list, i, one) {
		struct err ignored; /* a host's name, say */
		if (strcmp(json_text_at(one, "type"), "InternalIP") != 0 ||
			out->n_addrs == OWN_NODE_ADDRS)
			continue;
		out->n_addrs += addr_parse(json_text_at(one, "address"), &out->addrs[out->n_addrs],
					&ignored) == 0;
	}
}

static void read_conditions(const json_t *list, struct own_node *out)
{
	size_t i;
	const json_t *one;
	json_array_foreach (list, i, one) {
		const char *reason = json_text_at(one, "reason");
		if (strcmp(json_text_at(one, "type"), "NetworkUnavailable") != 0)
			continue;
		out->network = strcmp(json_text_at(one, "status"), "False") == 0
				       ? OWN_NODE_AVAILABLE
				       : OWN_NODE_UNAVAILABLE;
		out->says_broken = strcmp(reason, REASON_BROKEN) == 0;
		out->is_ours = out->says_broken || strcmp(reason, REASON_READY) == 0;
	}
}

static void read_taints(const json_t *list, struct own_node *out)
{
	size_t i;
	json_t *one;
	json_t *others = json_array();
	json_array_foreach ((json_t *)list, i, one)
		if (strcmp(json_text_at(one, "key"), OWN_NODE_TAINT) != 0)
			json_append(others, json_incref(one));
	if (json_array_size(others) < json_array_size(list))
		out->other_taints = others;
	else
		json_decref(others);
}

void own_node_read(const json_t *object, struct own_node *out)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const json_t *spec = json_object_get(object, "spec");
	const json_t *status = json_object_get(object, "status");
	*out = (struct own_node){
		.unschedulable = json_is_true(json_object_get(spec, "unschedulable")),
		.deleting = json_object_get(metadata, "deletionTimestamp") != NULL,
	};
	(void)text_clean(out->uid, sizeof(out->uid), json_text_at(metadata, "uid"));
	(void)text_clean(
		out->version, sizeof(out->version), json_text_at(metadata, "resourceVersion"));
	read_labels(json_object_get(metadata, "labels"), out);
	read_addrs(json_object_get(status, "addresses"), out);
	read_conditions(json_object_get(status, "conditions"), out);
	read_taints(json_object_get(spec, "taints"), out);
}

void own_node_done(struct own_node *n)
{
	json_decref(n->labels);
	json_decref(n->other_taints);
	*n = (struct own_node){0};
}

static json_t *format_condition(
	const char *status, const char *reason, const char *message, int64_t s)
{
	char now[BOOT_TIME_TEXT];
	boot_format_time(s, now);
	return json_pack("{s:{s:[{s:s, s:s, s:s, s:o, s:s, s:s}]}}", "status", "conditions", "type",
		"NetworkUnavailable", "status", status, "reason", reason, "message",
		json_of_text(message), "lastTransitionTime", now, "lastHeartbeatTime", now);
}

json_t *own_node_condition(
	const struct own_node *n, enum own_node_state state, const char *why, int64_t wall_s)
{
	if (state == OWN_NODE_READY && n->network != OWN_NODE_AVAILABLE)
		return format_condition(
			"False", REASON_READY, "roost is ready to give pods a network", wall_s);
	/* Of a node that was never ready the condition is not ours to make. */
	bool was_ready = n->network == OWN_NODE_AVAILABLE && n->is_ours;
	if (state == OWN_NODE_BROKEN && was_ready)
		return format_condition("True", REASON_BROKEN, why, wall_s);
	return NULL;
}

json_t *own_node_untaint(const struct own_node *n)
{
	if (!n->other_taints)
		return NULL;
	return json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:O}]", "op", "test", "path",
		"/metadata/resourceVersion", "value", n->version, "op", "replace", "path",
		"/spec/taints", "value", n->other_taints);
}
