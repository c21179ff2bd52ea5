"""All operations, in one place to import them from; importing this fills the table of kinds."""

from errormap_core.taxonomy.atlas_operation import ImportAtlas
from errormap_core.taxonomy.category_operations import (
    AddCategory,
    AnnotateCategory,
    DeleteCategories,
    DescribeCategory,
    MergeCategories,
    MoveCategories,
    Part,
    RenameCategory,
    SplitCategory,
)
from errormap_core.taxonomy.decision_operations import DecideProposals
from errormap_core.taxonomy.record_operations import (
    AnnotateRecord,
    AssignFailures,
    MarkRecords,
    SetChoice,
    SetThreshold,
    UnassignFailures,
    WriteAnalyses,
    WriteAnalysis,
)
from errormap_core.taxonomy.registry import OPERATIONS, Operation, arguments_of, operation_from
from errormap_core.taxonomy.rulings import Ruling

__all__ = [
    "OPERATIONS",
    "AddCategory",
    "AnnotateCategory",
    "AnnotateRecord",
    "AssignFailures",
    "DecideProposals",
    "DeleteCategories",
    "DescribeCategory",
    "ImportAtlas",
    "MarkRecords",
    "MergeCategories",
    "MoveCategories",
    "Operation",
    "Part",
    "RenameCategory",
    "Ruling",
    "SetChoice",
    "SetThreshold",
    "SplitCategory",
    "UnassignFailures",
    "WriteAnalyses",
    "WriteAnalysis",
    "arguments_of",
    "operation_from",
]
