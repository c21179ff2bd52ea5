"""The sample: questions of ours with exact checks, real answers of small models, gold analyses, and the project of them."""
