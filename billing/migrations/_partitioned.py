"""An operation of our own: a table whose months are tables."""

from django.db import migrations


class CreatePartitionedModel(migrations.CreateModel):
    """CreateModel for a table partitioned by range of its primary key."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        model = to_state.apps.get_model(app_label, self.name)
        statement, parameters = schema_editor.table_sql(model)
        schema_editor.execute(f"{statement} PARTITION BY RANGE (id)", parameters)
        for index in model._meta.indexes:  # noqa: SLF001  (Django's documented API)
            schema_editor.add_index(model, index)
