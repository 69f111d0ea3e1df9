"""What a stand-in for the W&B service keeps of artifacts, for uploads and downloads by the real ``wandb``.

These operations of wandb 0.31.0 are answered, as they were seen on the wire: ``CreateArtifact``,
``CreateArtifactManifest``, ``CreateArtifactFiles`` and ``CommitArtifact`` (an upload, by ``wandb-core``),
``ArtifactByID`` (the wait for it), ``ArtifactMembershipByName``, ``FetchArtifactManifest`` and
``GetArtifactMembershipFileUrls`` (a download, by ``wandb.Api().artifact``). Files go to and come from
``/artifacts/ARTIFACT/PATH`` of the service, manifests ``/artifacts/ARTIFACT``. What has the digest of a version that is
there is no other version; a file that another version has is uploaded again all the same.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

Variables = Mapping[str, Any]
MANIFEST = ""
"""The path that stands for an artifact's manifest."""


@dataclass
class ServedArtifact:
    """A version of an artifact.

    Attributes:
        id: Its id.
        project: The name of its project.
        entity: The name of the project's entity.
        collection: The name that it shares with other versions.
        version: Its number among them.
        type: Its type.
        run: The id of the run that logged it.
        digest: Of its manifest.
        metadata: What it was logged with, as JSON.
        content: Its files by their paths, and its manifest.
        is_committed: Whether it is complete.
    """

    id: str
    entity: str
    project: str
    collection: str
    version: int
    type: str
    run: str
    digest: str
    metadata: str | None
    content: dict[str, bytes] = field(default_factory=dict)
    is_committed: bool = False

    @property
    def files(self) -> dict[str, bytes]:
        """Its files by their paths."""
        return {path: content for path, content in self.content.items() if path != MANIFEST}

    @property
    def manifest(self) -> dict[str, Any]:
        """Its manifest."""
        manifest: dict[str, Any] = json.loads(self.content[MANIFEST])
        return manifest


class ServedArtifacts:
    """All versions of all artifacts.

    Args:
        url: Gives the address of the service.
        entity: Whose account it is: an offline run does not know.
    """

    def __init__(self, url: Callable[[], str], entity: str) -> None:
        self.versions: list[ServedArtifact] = []
        self._url, self._entity = url, entity
        self.answers: dict[str, Callable[[Variables], Mapping[str, Any]]] = {
            "CreateArtifact": self._create,
            "CreateArtifactManifest": self._create_manifest,
            "CreateArtifactFiles": self._create_files,
            "CommitArtifact": self._commit,
            "ArtifactByID": lambda variables: {"artifact": _described(self._of(variables["id"]))},
            "ArtifactMembershipByName": self._by_name,
            "FetchArtifactManifest": self._fetch_manifest,
            "GetArtifactMembershipFileUrls": self._file_urls,
        }

    def place(self, address: str) -> tuple[dict[str, bytes], str]:
        """Return where the content of an address, below ``/artifacts/``, is kept, and under which key."""
        number, _, path = address.partition("/")
        return self._of(number).content, path

    def _of(self, id_: str) -> ServedArtifact:
        return next(each for each in self.versions if each.id == id_)

    def _address(self, artifact: ServedArtifact, path: str = MANIFEST) -> str:
        return f"{self._url()}/artifacts/{quote(artifact.id)}" + (f"/{quote(path)}" if path else "")

    def _create(self, variables: Variables) -> dict[str, Any]:
        asked = variables["input"]
        name = {"entity": asked["entityName"] or self._entity, "project": asked["projectName"]}
        name["collection"] = asked["artifactCollectionName"]
        versions = [each for each in self.versions if all(getattr(each, part) == name[part] for part in name)]
        same = [each for each in versions if each.is_committed and each.digest == asked["digest"]]
        artifact = (
            same[0]
            if same
            else ServedArtifact(
                id=f"artifact{len(self.versions)}",
                version=len(versions),
                type=asked["artifactTypeName"],
                run=asked["runName"],
                digest=asked["digest"],
                metadata=asked["metadata"],
                **name,
            )
        )
        if not same:
            self.versions.append(artifact)
        state = "COMMITTED" if artifact.is_committed else "PENDING"
        latest = {"id": versions[-1].id} if versions else None
        created = {"id": artifact.id, "state": state, "artifactSequence": {"latestArtifact": latest}}
        return {"createArtifact": {"artifact": created}}

    def _create_manifest(self, variables: Variables) -> dict[str, Any]:
        artifact = self._of(variables["artifactID"])
        file = {"id": "1", "uploadUrl": self._address(artifact), "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": f"manifest-of-{artifact.id}", "file": file}}}

    def _create_files(self, variables: Variables) -> dict[str, Any]:
        files = [
            {
                "storagePath": each["name"],
                "uploadUrl": self._address(self._of(each["artifactID"]), each["name"]),
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "artifact": {"id": each["artifactID"]},
            }
            for each in variables["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": file} for file in files]}}}

    def _commit(self, variables: Variables) -> dict[str, Any]:
        artifact = self._of(variables["artifactID"])
        artifact.is_committed = True
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}

    def _find(self, entity: str, project: str, collection: str, alias: str) -> ServedArtifact | None:
        wanted = (entity, project, collection)
        found = [
            each
            for each in self.versions
            if each.is_committed
            and (each.entity, each.project, each.collection) == wanted
            and alias in {"latest", f"v{each.version}"}
        ]
        return found[-1] if found else None

    def _by_name(self, variables: Variables) -> dict[str, Any]:
        collection, _, alias = variables["name"].partition(":")
        found = self._find(variables["entity"], variables["project"], collection, alias)
        return {"project": {"artifactCollectionMembership": None if found is None else _membership(found)}}

    def _fetch_manifest(self, variables: Variables) -> dict[str, Any]:
        address = self._address(self._of(variables["id"]))
        return {"artifact": {"currentManifest": {"file": {"directUrl": address}}}}

    def _file_urls(self, variables: Variables) -> dict[str, Any]:
        found = self._find(*(variables[part] for part in ("entity", "project", "collection", "alias")))
        assert found is not None
        nodes = [{"__typename": "File", "name": path, "directUrl": self._address(found, path)} for path in found.files]
        page = {"edges": [{"node": node} for node in nodes], "pageInfo": _END}
        membership = {"__typename": "ArtifactSequence", "artifactMembership": {"files": page}}
        return {"project": {"artifactCollection": membership}}


_END = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
_CREATED = "2026-01-01T00:00:00"


def _collection(artifact: ServedArtifact) -> dict[str, Any]:
    project = {"id": "1", "internalId": "1", "name": artifact.project, "entity": {"name": artifact.entity}}
    return {"__typename": "ArtifactSequence", "name": artifact.collection, "project": project}


def _described(artifact: ServedArtifact) -> dict[str, Any]:
    return {
        "__typename": "Artifact",
        "id": artifact.id,
        "artifactSequence": _collection(artifact),
        "versionIndex": artifact.version,
        "artifactType": {"name": artifact.type},
        "description": None,
        "metadata": artifact.metadata,
        "ttlDurationSeconds": -2,
        "ttlIsInherited": True,
        "tags": [],
        "historyStep": None,
        "state": "COMMITTED",
        "size": sum(map(len, artifact.files.values())),
        "digest": artifact.digest,
        "commitHash": None,
        "fileCount": len(artifact.files),
        "createdAt": _CREATED,
        "updatedAt": None,
    }


def _membership(artifact: ServedArtifact) -> dict[str, Any]:
    return {
        "__typename": "ArtifactCollectionMembership",
        "id": f"membership-of-{artifact.id}",
        "versionIndex": artifact.version,
        "createdAt": _CREATED,
        "aliases": [],
        "artifactCollection": _collection(artifact),
        "artifact": _described(artifact),
    }
