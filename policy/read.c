/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which object is read how, what all of them share, and those that are no policies: pods, namespaces, service
 * accounts, network sets, tiers.
 *
 * Calico gives the objects that its selectors see labels of its own; they stand beside people's labels here:
 * projectcalico.org/namespace, /orchestrator and /serviceaccount of a pod, /namespace of a network set, /name of
 * a namespace. A label of that key that people wrote does not count, so that nobody can name another's.
 */
#include "policy/read.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "policy/read_impl.h"

#define CALICO "projectcalico.org/"

/* Metadata */

/* The name of an object and, of namespaced kinds, that of its namespace. */
static int read_names(const json_t *object, bool namespaced, char namespace[POLICY_NAMESPACE],
	char name[POLICY_NAME], struct err *e)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *own = json_text_at(metadata, "name");
	const char *home = json_text_at(metadata, "namespace");
	if (!text_is_dns_name(own) || !text_copy(name, POLICY_NAME, own))
		return err_set(e, EINVAL, "metadata.name is no name of an object");
	*namespace = '\0';
	if (namespaced && !*home)
		home = "default";
	if (namespaced && (!text_is_dns_name(home) || strchr(home, '.') ||
				  !text_copy(namespace, POLICY_NAMESPACE, home)))
		return err_set(
			e, EINVAL, "metadata.namespace of %.80s is no name of a namespace", own);
	return 0;
}

struct own_label {
	const char *key, *value;
};

static int read_labels(const json_t *object, const struct own_label *own, size_t n,
	struct policy_labels *out, struct err *e)
{
	const json_t *labels = json_object_get(json_object_get(object, "metadata"), "labels");
	if (labels && !json_is_null(labels) && !json_is_object(labels))
		return policy_labels_read(labels, out, e);
	CLEANUP_JSON json_t *all =
		json_is_object(labels) ? json_copy((json_t *)labels) : json_object();
	for (size_t i = 0; i < n; i++)
		json_put(all, own[i].key, json_of_text(own[i].value));
	return policy_labels_read(all, out, e);
}

static int64_t read_created(const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	int64_t s = 0;
	(void)boot_parse_time(json_text_at(metadata, "creationTimestamp"), &s);
	return s;
}

/* Pods */

void policy_pod_done(struct policy_pod *p)
{
	free((void *)p->labels.v);
	free(p->ports);
	*p = (struct policy_pod){0};
}

static bool read_container_port(const json_t *port, struct policy_port *out)
{
	static const char *const names[] = {"", "TCP", "UDP", "SCTP"};
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	int i = TEXT_INDEX(json_text_at(port, "protocol"), names);
	if (i < 0 || !read_port_name(json_text_at(port, "name"), out->name) ||
		!read_port_number(json_object_get(port, "containerPort"), &out->first))
		return false;
	out->last = out->first;
	out->proto = protos[i];
	return true;
}

/* Of containers that run as long as the pod: of init containers, those that are restarted. */
static void read_container_ports(struct policy_pod *p, const json_t *containers, bool are_init)
{
	size_t i, k;
	json_t *container, *port;
	json_array_foreach ((json_t *)containers, i, container) {
		if (are_init && strcmp(json_text_at(container, "restartPolicy"), "Always") != 0)
			continue;
		json_array_foreach (json_object_get(container, "ports"), k, port) {
			struct policy_port one = {0};
			if (p->n_ports == POLICY_PORTS_MAX || !read_container_port(port, &one))
				continue;
			size_t room = p->n_ports;
			p->ports = mem_grow(p->ports, &room, p->n_ports, sizeof(*p->ports));
			p->ports[p->n_ports++] = one;
		}
	}
}

static void read_address(struct policy_pod *p, const char *text)
{
	struct err ignored;
	struct addr a;
	if (p->n_addrs == POLICY_ADDRESSES || addr_parse(text, &a, &ignored) < 0)
		return;
	for (size_t i = 0; i < p->n_addrs; i++)
		if (addr_equal(&p->addrs[i], &a))
			return;
	p->addrs[p->n_addrs++] = a;
}

static void read_status(struct policy_pod *p, const json_t *status)
{
	const char *phase = json_text_at(status, "phase");
	size_t i;
	json_t *one;
	p->is_over = strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
	read_address(p, json_text_at(status, "podIP"));
	json_array_foreach (json_object_get(status, "podIPs"), i, one)
		read_address(p, json_text_at(one, "ip"));
}

/* The uid that the runtime tells CNI. What the API shows of a kubelet's static pod is a mirror with a uid of its own;
 * the pod's is in an annotation (pkg/kubelet/pod/mirror_client.go). */
static const char *read_pod_uid(const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *own = json_text_at(
		json_object_get(metadata, "annotations"), "kubernetes.io/config.mirror");
	return *own ? own : json_text_at(metadata, "uid");
}

int policy_read_pod(const json_t *object, struct policy_pod *out, struct err *e)
{
	const json_t *spec = json_object_get(object, "spec");
	const char *account = json_text_at(spec, "serviceAccountName");
	struct policy_pod p = {.created_s = read_created(object)};
	int r = read_names(object, true, p.namespace, p.name, e);
	if (r < 0)
		return r;
	(void)text_clean(p.account, sizeof(p.account), *account ? account : "default");
	const struct own_label own[] = {{CALICO "namespace", p.namespace},
		{CALICO "orchestrator", "k8s"}, {CALICO "serviceaccount", p.account}};
	r = read_labels(object, own, 3, &p.labels, e);
	if (r < 0) {
		err_add(e, "pod %.63s/%.200s", p.namespace, p.name);
		return r;
	}
	(void)text_clean(p.uid, sizeof(p.uid), read_pod_uid(object));
	(void)text_clean(p.node, sizeof(p.node), json_text_at(spec, "nodeName"));
	p.on_host = json_is_true(json_object_get(spec, "hostNetwork"));
	read_container_ports(&p, json_object_get(spec, "containers"), false);
	read_container_ports(&p, json_object_get(spec, "initContainers"), true);
	read_status(&p, json_object_get(object, "status"));
	*out = p;
	return 0;
}

/* Namespaces, service accounts */

int policy_read_namespace(const json_t *object, struct policy_namespace *out, struct err *e)
{
	struct policy_namespace n = {0};
	char name[POLICY_NAME], none[POLICY_NAMESPACE];
	int r = read_names(object, false, none, name, e);
	if (r < 0)
		return r;
	if (!text_copy(n.name, sizeof(n.name), name))
		return err_set(e, EINVAL, "metadata.name is no name of a namespace");
	const struct own_label own[] = {{CALICO "name", n.name}};
	r = read_labels(object, own, 1, &n.labels, e);
	if (r < 0)
		err_add(e, "namespace %.63s", n.name);
	else
		*out = n;
	return r;
}

int policy_read_account(const json_t *object, struct policy_account *out, struct err *e)
{
	struct policy_account a = {0};
	int r = read_names(object, true, a.namespace, a.name, e);
	if (r < 0)
		return r;
	const struct own_label own[] = {{CALICO "name", a.name}};
	r = read_labels(object, own, 1, &a.labels, e);
	if (r < 0)
		err_add(e, "service account %.63s/%.200s", a.namespace, a.name);
	else
		*out = a;
	return r;
}

/* Calico's network sets and tiers */

int policy_read_netset(const json_t *object, struct policy_netset *out, struct err *e)
{
	const json_t *nets = read_member(json_object_get(object, "spec"), "nets");
	bool namespaced = strcmp(json_text_at(object, "kind"), "NetworkSet") == 0;
	struct policy_netset s = {0};
	int r = read_names(object, namespaced, s.namespace, s.name, e);
	if (r < 0)
		return r;
	if ((nets && !json_is_array(nets)) || json_array_size(nets) > POLICY_NETS_MAX)
		return err_set(e, EINVAL, "spec.nets of %.200s must be a list of at most %d",
			s.name, POLICY_NETS_MAX);
	const struct own_label own[] = {{CALICO "namespace", s.namespace}};
	r = read_labels(object, own, namespaced ? 1 : 0, &s.labels, e);
	if (r < 0)
		return r;
	s.nets = json_array_size(nets) ? mem_new(json_array_size(nets), sizeof(*s.nets)) : NULL;
	for (size_t i = 0; i < json_array_size(nets); i++) {
		if (read_prefix(json_array_get(nets, i), &s.nets[s.n_nets++]))
			continue;
		free(s.nets);
		free((void *)s.labels.v);
		return err_set(e, EINVAL, "spec.nets[%zu] of %.200s is no prefix", i, s.name);
	}
	*out = s;
	return 0;
}

int policy_read_tier(const json_t *object, struct policy_tier *out, struct err *e)
{
	static const char *const actions[] = {"Deny", "Pass"};
	const json_t *spec = json_object_get(object, "spec");
	const json_t *order = read_member(spec, "order"),
		     *action = read_member(spec, "defaultAction");
	struct policy_tier t = {.order = POLICY_ORDER_LAST, .end = POLICY_DENY};
	char none[POLICY_NAMESPACE];
	int r = read_names(object, false, none, t.name, e);
	if (r < 0)
		return r;
	const char *text = action ? json_string_value(action) : "Deny";
	int a = text ? TEXT_INDEX(text, actions) : -1;
	if (a < 0)
		return err_set(
			e, EINVAL, "spec.defaultAction of %.200s must be Deny or Pass", t.name);
	if (order && !json_is_number(order))
		return err_set(e, EINVAL, "spec.order of %.200s must be a number", t.name);
	t.order = order ? json_number_value(order) : POLICY_ORDER_LAST;
	t.end = a == 1 ? POLICY_PASS : POLICY_DENY;
	*out = t;
	return 0;
}

/* Policies */

static const struct policy_form {
	const char *kind;
	bool is_calico, staged, namespaced;
	enum policy_kind means;
	void (*read)(struct reading *r, const json_t *spec);
} forms[] = {
	{"NetworkPolicy", false, false, true, POLICY_NETWORK, read_network_spec},
	{"ClusterNetworkPolicy", false, false, false, POLICY_CLUSTER, read_cluster_spec},
	{"NetworkPolicy", true, false, true, POLICY_CALICO, read_calico_spec},
	{"GlobalNetworkPolicy", true, false, false, POLICY_CALICO_GLOBAL, read_calico_spec},
	{"StagedNetworkPolicy", true, true, true, POLICY_CALICO, read_calico_spec},
	{"StagedGlobalNetworkPolicy", true, true, false, POLICY_CALICO_GLOBAL, read_calico_spec},
	{"StagedKubernetesNetworkPolicy", true, true, true, POLICY_NETWORK, read_network_spec},
};

static const struct policy_form *form_of(const json_t *object)
{
	const char *kind = json_text_at(object, "kind"), *api = json_text_at(object, "apiVersion");
	bool is_calico = strstr(api, "projectcalico.org/") || strncmp(api, "roost.io/", 9) == 0;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(kind, forms[i].kind) == 0 && is_calico == forms[i].is_calico)
			return &forms[i];
	return NULL;
}

/* A staged deletion stands for the policy as if it were gone. */
static void read_staged_action(struct reading *r, const json_t *spec)
{
	const char *action = json_text_at(spec, "stagedAction");
	if (!*action || strcmp(action, "Set") == 0)
		return;
	if (strcmp(action, "Delete") != 0)
		reading_problem(r, "spec.stagedAction", "must be Set or Delete: it does nothing");
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		for (size_t i = 0; i < r->p->n_rules[d]; i++)
			policy_rule_done(&r->p->rules[d][i]);
		r->p->n_rules[d] = 0;
		r->p->applies[d] = false;
	}
}

static int read_policy_as(
	const struct policy_form *f, const json_t *object, struct policy **out, struct err *e)
{
	const json_t *spec = read_member(object, "spec");
	struct reading r = {.p = mem_new(1, sizeof(*r.p))};
	int error = read_names(object, f->namespaced, r.p->namespace, r.p->name, e);
	if (error == 0 && spec && !json_is_object(spec))
		error = err_set(e, EINVAL, "spec of %.200s is %s, not an object", r.p->name,
			json_type_text(spec));
	if (error < 0) {
		policy_free(r.p);
		return error;
	}
	r.p->kind = f->means;
	r.p->staged = f->staged;
	(void)text_clean(r.p->uid, sizeof(r.p->uid),
		json_text_at(json_object_get(object, "metadata"), "uid"));
	f->read(&r, spec);
	if (f->staged)
		read_staged_action(&r, spec);
	reading_finish(&r);
	*out = r.p;
	return 0;
}

int policy_read_policy(const json_t *object, struct policy **out, struct err *e)
{
	const struct policy_form *f = form_of(object);
	if (!f)
		return err_set(e, EINVAL, "%.80s of \"%.80s\" is no policy that roost serves",
			json_text_at(object, "kind"), json_text_at(object, "apiVersion"));
	return read_policy_as(f, object, out, e);
}

/* Into a world */

/* What the items of a list lack: the kind that the list is of. */
static const char *const kinds_of[POLICY_SOURCES][2] = {
	[POLICY_FROM_NAMESPACES] = {"Namespace", "v1"},
	[POLICY_FROM_PODS] = {"Pod", "v1"},
	[POLICY_FROM_ACCOUNTS] = {"ServiceAccount", "v1"},
	[POLICY_FROM_NETWORK_POLICIES] = {"NetworkPolicy", "networking.k8s.io/v1"},
	[POLICY_FROM_CLUSTER_POLICIES] = {"ClusterNetworkPolicy",
		"policy.networking.k8s.io/v1alpha2"},
};

struct incoming { /* an object on its way, told by a list or watch */
	struct policy_world *w;
	enum policy_source s;
	const json_t *object;
	bool gone;
};

static int put_object(
	const struct incoming *in, enum policy_object what, bool *changed, struct err *e)
{
	struct policy_pod pod;
	struct policy_namespace namespace;
	struct policy_account account;
	struct policy_netset set;
	struct policy_tier tier;
	int r = -ENOENT;
	if (what == POLICY_POD && (r = policy_read_pod(in->object, &pod, e)) == 0)
		*changed = policy_world_put_pod(in->w, in->s, &pod);
	else if (what == POLICY_NAMESPACE_OBJECT &&
		 (r = policy_read_namespace(in->object, &namespace, e)) == 0)
		*changed = policy_world_put_namespace(in->w, &namespace);
	else if (what == POLICY_ACCOUNT && (r = policy_read_account(in->object, &account, e)) == 0)
		*changed = policy_world_put_account(in->w, &account);
	else if (what == POLICY_NETSET && (r = policy_read_netset(in->object, &set, e)) == 0)
		*changed = policy_world_put_netset(in->w, &set);
	else if (what == POLICY_TIER && (r = policy_read_tier(in->object, &tier, e)) == 0)
		*changed = policy_world_put_tier(in->w, &tier);
	return r;
}

static int take_policy(
	const struct incoming *in, const struct policy_form *f, bool *changed, struct err *e)
{
	char namespace[POLICY_NAMESPACE], name[POLICY_NAME];
	struct policy *p = NULL;
	int r = in->gone ? read_names(in->object, f->namespaced, namespace, name, e)
			 : read_policy_as(f, in->object, &p, e);
	if (r == 0)
		*changed = in->gone ? policy_world_drop_policy(
					      in->w, f->means, f->staged, namespace, name)
				    : policy_world_put_policy(in->w, in->s, p);
	return r;
}

static const struct {
	const char *kind;
	enum policy_object what;
	bool namespaced;
} objects[] = {
	{"Pod", POLICY_POD, true},
	{"Namespace", POLICY_NAMESPACE_OBJECT, false},
	{"ServiceAccount", POLICY_ACCOUNT, true},
	{"NetworkSet", POLICY_NETSET, true},
	{"GlobalNetworkSet", POLICY_NETSET, false},
	{"Tier", POLICY_TIER, false},
};

static int take_object(const struct incoming *in, bool *changed, struct err *e)
{
	char namespace[POLICY_NAMESPACE], name[POLICY_NAME];
	const char *kind = json_text_at(in->object, "kind");
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		if (strcmp(kind, objects[i].kind) != 0)
			continue;
		if (!in->gone)
			return put_object(in, objects[i].what, changed, e);
		int r = read_names(in->object, objects[i].namespaced, namespace, name, e);
		if (r == 0)
			*changed =
				policy_world_drop(in->w, in->s, objects[i].what, namespace, name);
		return r;
	}
	return err_set(e, ENOENT, "%.80s is nothing that policies are about", kind);
}

int policy_read_into(struct policy_world *w, enum policy_source s, const json_t *object, bool gone,
	bool *changed, struct err *e)
{
	CLEANUP_JSON json_t *whole =
		json_is_object(object) ? json_copy((json_t *)object) : json_object();
	const struct incoming in = {.w = w, .s = s, .object = whole, .gone = gone};
	if (!*json_text_at(whole, "kind") && kinds_of[s][0]) {
		json_put(whole, "kind", json_string(kinds_of[s][0]));
		json_put(whole, "apiVersion", json_string(kinds_of[s][1]));
	}
	const struct policy_form *f = form_of(whole);
	*changed = false;
	return f ? take_policy(&in, f, changed, e) : take_object(&in, changed, e);
}
