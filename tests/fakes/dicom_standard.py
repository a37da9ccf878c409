"""The tables that dicom-validator wants, from the copy of the standard's that highdicom brings.

dicom-validator downloads PS3.3 otherwise, which a test must not. These tables say which modules an object has and which
attributes of them are of type 1 and 2, inside sequences too; they do not hold the conditions of 1C and 2C, nor the
enumerated values, so those are not checked here.
"""

import json
import pkgutil
from functools import lru_cache
from typing import Any

from dicom_validator.validator.dicom_info import DicomInfo
from pydicom.datadict import DicomDictionary, tag_for_keyword

__all__ = ["dicom_info"]


@lru_cache(maxsize=1)
def dicom_info(*sop_classes: str) -> DicomInfo:
    """Dictionary, objects and modules of these SOP classes."""
    iods, names = {}, _table("sop_class_iod_map")
    modules_of, attributes_of = _table("iod_module_map"), _table("module_attribute_map")
    used: dict[str, Any] = {}
    for sop_class in sop_classes:
        modules = {
            module["key"]: {"ref": module["key"], "use": "M" if module["usage"] == "M" else "U"}
            for module in modules_of[names[sop_class]]
        }
        iods[sop_class] = {"title": names[sop_class], "modules": modules, "group_macros": {}}
        used |= {key: _module(attributes_of[key]) for key in modules}
    return DicomInfo(dictionary=_dictionary(), iods=iods, modules=used)


def _table(name: str) -> Any:
    data = pkgutil.get_data("highdicom", f"_standard/{name}.json")
    assert data is not None, f"highdicom has no {name} any more"
    return json.loads(data)


def _module(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    module: dict[str, Any] = {}
    for attribute in sorted(attributes, key=lambda one: len(one["path"])):
        if tag_for_keyword(attribute["keyword"]) is None:  # of a repeating group: overlay planes, which we never write
            continue
        place = module
        for sequence in attribute["path"]:
            place = place[_tag(sequence)].setdefault("items", {})
        entry = {"name": attribute["keyword"], "type": attribute["type"]}
        place[_tag(attribute["keyword"])] = entry | ({"cond": {"type": "U"}} if "C" in attribute["type"] else {})
    return module


def _dictionary() -> dict[str, dict[str, str]]:
    return {
        f"({tag >> 16:04X},{tag & 0xFFFF:04X})": {"name": name, "vr": vr, "vm": vm, "prop": retired}
        for tag, (vr, vm, name, retired, _) in DicomDictionary.items()
    }


def _tag(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
